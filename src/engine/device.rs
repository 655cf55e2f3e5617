//! Devices by name, and CUDA where the libtorch beside us has it.

use annals::model::config::Precision;
use annals::train::LearnError;
use tch::{Cuda, Device};

/// The libtorch release that tch is generated for.
pub(crate) const LIBTORCH_VERSION: &str = "2.11.0";

/// Loads CUDA's half of libtorch where it exists. It must be in the process before the first
/// question about CUDA: libtorch remembers the answer "there is none" for good.
#[expect(unsafe_code, reason = "loading a library runs its initialisers")]
pub(crate) fn load_cuda() -> bool {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda.so is found by our own rpath and belongs to the libtorch that is
    // linked; its initialisers register kernels and need nothing of us. No other thread runs yet.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            // Its kernels are in use until the process ends.
            std::mem::forget(library);
            true
        }
        Err(_) => false,
    }
}

/// The devices that can be asked for.
pub(crate) fn available(cuda_loaded: bool) -> Vec<String> {
    let mut names = vec!["cpu".to_owned()];
    if cuda_loaded {
        names.extend((0..Cuda::device_count()).map(|index| format!("cuda:{index}")));
    }
    if tch::utils::has_mps() {
        names.push("mps".to_owned());
    }
    names
}

/// The device named `cpu`, `cuda`, `cuda:<n>` or `mps`.
pub(crate) fn named(name: &str) -> Result<Device, LearnError> {
    let missing = |message: String| LearnError::Device { device: name.to_owned(), message };
    match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", _) => Ok(Device::Cpu),
        ("mps", _) if tch::utils::has_mps() => Ok(Device::Mps),
        ("mps", _) => Err(missing("this libtorch has no MPS".into())),
        ("cuda", index) => {
            let count = Cuda::device_count();
            match index.parse::<usize>() {
                Ok(index) if (index as i64) < count => Ok(Device::Cuda(index)),
                _ => Err(missing(format!("this machine and libtorch have {count} CUDA devices"))),
            }
        }
        _ => Err(missing("known are cpu, cuda, cuda:<n> and mps".into())),
    }
}

/// The devices of `names` that compute in bf16 with instructions of their own.
pub(crate) fn with_bf16(names: &[String]) -> Vec<String> {
    let computes = |name: &&String| {
        let device = named(name);
        device.is_ok_and(|found| matches!(computes_bf16(Precision::Auto, name, found), Ok(true)))
    };
    names.iter().filter(computes).cloned().collect()
}

/// Whether the device computes in bf16 with instructions of its own, and is asked to. Without them
/// it was 19 times slower than 32 bits.
pub(crate) fn computes_bf16(
    wanted: Precision,
    name: &str,
    device: Device,
) -> Result<bool, LearnError> {
    let lacks = match (wanted, device) {
        (Precision::Fp32, _) => return Ok(false),
        (_, Device::Cpu) if cpu_has_bf16() => return Ok(true),
        (_, Device::Cuda(index)) if cuda_generation(index) >= CUDA_BF16 => return Ok(true),
        (Precision::Auto, _) => return Ok(false),
        (_, Device::Cpu) => "this processor has no bf16 instructions (AVX512-BF16 or AMX)",
        (_, Device::Cuda(_)) => "bf16 needs compute capability 8.0 or later",
        (..) => "bf16 is known for CPUs and CUDA only",
    };
    let message = format!("{lacks}; training.precision fp32 and auto work here");
    Err(LearnError::Device { device: name.to_owned(), message })
}

/// Processors with AMX have these too.
#[cfg(target_arch = "x86_64")]
fn cpu_has_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_has_bf16() -> bool {
    false
}

/// The first major compute capability with bf16 (Ampere).
const CUDA_BF16: i32 = 8;

/// The major compute capability of a CUDA device; 0 where it cannot be told.
#[expect(unsafe_code, reason = "asks the CUDA runtime, which libtorch has loaded")]
fn cuda_generation(index: usize) -> i32 {
    use libloading::os::unix::{Library, Symbol};
    type Ask = unsafe extern "C" fn(*mut i32, i32, i32) -> i32;
    const MAJOR: i32 = 75; // cudaDevAttrComputeCapabilityMajor
    let Ok(index) = i32::try_from(index) else { return 0 };
    let mut major = 0;
    // SAFETY: the name and the types are those of cudart since CUDA 5; `major` outlives the call.
    // An error, and the stub beside a libtorch without CUDA, leaves it 0.
    unsafe {
        let ask: Result<Symbol<Ask>, _> = Library::this().get(b"cudaDeviceGetAttribute\0");
        match ask {
            Ok(ask) if ask(&raw mut major, MAJOR, index) == 0 => major,
            _ => 0,
        }
    }
}
