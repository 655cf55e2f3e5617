//! Tells the loader where `annals-engine` finds libtorch. Only that program gets the path:
//! `annals` never links libtorch.

use std::env;

#[expect(clippy::disallowed_methods, reason = "a build script is told by its environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    // torch-sys tells it under the name of the library it links.
    if let (Ok(_), Ok(lib)) = (env::var("CARGO_FEATURE_TORCH"), env::var("DEP_TCH_LIBTORCH_LIB")) {
        // First where it was built, then beside the program, for bundles.
        for path in [lib.as_str(), "$ORIGIN/libtorch/lib"] {
            println!("cargo::rustc-link-arg-bin=annals-engine=-Wl,-rpath,{path}");
        }
        println!("cargo::rustc-link-arg-bin=annals-engine=-Wl,--enable-new-dtags");
    }
}
