//! Tells the loader where `annals-engine` finds libtorch, and compiles what tch does not name of it.
//! Only that program gets either: `annals` never links libtorch.

use std::env;

#[expect(clippy::disallowed_methods, reason = "a build script is told by its environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    // torch-sys tells it under the name of the library it links.
    if let (Ok(_), Ok(lib)) = (env::var("CARGO_FEATURE_TORCH"), env::var("DEP_TCH_LIBTORCH_LIB")) {
        #[cfg(feature = "torch")]
        shim(&lib, env::var("LIBTORCH_INCLUDE").ok(), &env::var("OUT_DIR").unwrap_or_default());
        // First where it was built, then beside the program, for bundles.
        for path in [lib.as_str(), "$ORIGIN/libtorch/lib"] {
            println!("cargo::rustc-link-arg-bin=annals-engine=-Wl,-rpath,{path}");
        }
        println!("cargo::rustc-link-arg-bin=annals-engine=-Wl,--enable-new-dtags");
    }
}

/// Compiles `shim.cpp` as torch-sys compiles its own half.
#[cfg(feature = "torch")]
fn shim(lib: &str, root: Option<String>, out: &str) {
    println!("cargo::rerun-if-changed=src/engine/shim.cpp");
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    let include =
        root.map_or_else(|| format!("{lib}/../include"), |root| format!("{root}/include"));
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(&include)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .cargo_metadata(false)
        .file("src/engine/shim.cpp")
        .compile("annals_shim");
    println!("cargo::rustc-link-arg-bin=annals-engine={out}/libannals_shim.a");
}
