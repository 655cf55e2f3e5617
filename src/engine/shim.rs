//! The other side of `shim.cpp`: parts of libtorch that tch does not name.

#![expect(unsafe_code, reason = "calls into C++")]

use std::ffi::{CStr, c_char, c_double, c_int};

use annals::train::LearnError;
use tch::{Device, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    fn annals_failure() -> *const c_char;
    fn annals_norm(tensors: *const *const C_tensor, count: usize, norm: *mut c_double) -> c_int;
    fn annals_adamw(
        weights: *const *const C_tensor,
        grads: *const *const C_tensor,
        first: *const *const C_tensor,
        second: *const *const C_tensor,
        count: usize,
        step: *const C_tensor,
        divisor: *const C_tensor,
        lr: c_double,
        beta1: c_double,
        beta2: c_double,
        decay: c_double,
        epsilon: c_double,
    ) -> c_int;
    fn annals_linear(
        input: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        output: *mut *mut C_tensor,
    ) -> c_int;
    fn annals_bf16(on: bool, cuda: bool) -> c_int;
}

fn checked(code: c_int) -> Result<(), LearnError> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: the text belongs to this thread, ends with a zero and lives until its next failure.
    let message = unsafe { CStr::from_ptr(annals_failure()) };
    Err(LearnError::Backend(message.to_string_lossy().into_owned()))
}

/// The L2 norm of all of `tensors` together; 0 of none.
pub(crate) fn norm(tensors: &[&Tensor]) -> Result<f64, LearnError> {
    let pointers = pointers(tensors);
    let mut norm = 0.0;
    if !tensors.is_empty() {
        // SAFETY: `count` pointers to tensors that live through the call, which keeps none.
        checked(unsafe { annals_norm(pointers.as_ptr(), pointers.len(), &raw mut norm) })?;
    }
    Ok(norm)
}

/// The tensors of one update of AdamW; all four lists are of one length.
#[derive(Default)]
pub(crate) struct Lists<'a> {
    pub(crate) weights: Vec<&'a Tensor>,
    pub(crate) grads: Vec<&'a Tensor>,
    pub(crate) first: Vec<&'a Tensor>,
    pub(crate) second: Vec<&'a Tensor>,
}

/// The numbers of one update of AdamW.
pub(crate) struct Rule<'a> {
    /// How many updates this one makes, float.
    pub(crate) step: &'a Tensor,
    /// What gradients are divided by first, float; changes them.
    pub(crate) divisor: &'a Tensor,
    pub(crate) lr: f64,
    pub(crate) betas: (f64, f64),
    pub(crate) decay: f64,
    pub(crate) epsilon: f64,
}

/// Changes weights and moments in one pass over them.
///
/// # Errors
/// When the tensors are not all float and laid out alike.
pub(crate) fn adamw(lists: &Lists<'_>, rule: &Rule<'_>) -> Result<(), LearnError> {
    let count = lists.weights.len();
    let [weights, grads, first, second] =
        [&lists.weights, &lists.grads, &lists.first, &lists.second].map(|list| pointers(list));
    assert!(
        [&grads, &first, &second].iter().all(|list| list.len() == count),
        "BUG: lists of several lengths"
    );
    if count == 0 {
        return Ok(());
    }
    // SAFETY: four lists of `count` pointers and two more to tensors that live through the call,
    // which keeps none of them. It writes to weights, gradients and moments: nobody else does so
    // meanwhile, because the optimiser that lends them is borrowed as one that changes.
    checked(unsafe {
        annals_adamw(
            weights.as_ptr(),
            grads.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            count,
            rule.step.as_ptr(),
            rule.divisor.as_ptr(),
            rule.lr,
            rule.betas.0,
            rule.betas.1,
            rule.decay,
            rule.epsilon,
        )
    })
}

fn pointers(tensors: &[&Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr()).collect()
}

/// Float `[.., inputs]` to `[.., outputs]` by weights `[outputs, inputs]`, with gradients. Where
/// the numbers are 32 bits wide and in the CPU's memory, oneDNN multiplies: MKL, which libtorch
/// prefers, leaves the widest instructions of AMD's processors alone and took two to three times
/// as long there.
///
/// # Panics
/// When libtorch fails, as its own operators do here.
pub(crate) fn linear(input: &Tensor, weights: &Tensor, bias: &Tensor) -> Tensor {
    let (weights, bias) = (weights.as_ptr(), bias.as_ptr());
    let mut output = std::ptr::null_mut();
    // SAFETY: three tensors that live through the call, of which a graph of gradients keeps its own
    // references; `output` is set to a tensor of ours where the call succeeds.
    let code = unsafe { annals_linear(input.as_ptr(), weights, bias, &raw mut output) };
    if let Err(error) = checked(code) {
        panic!("{error}");
    }
    // SAFETY: as above: a tensor that nobody else owns.
    unsafe { Tensor::from_ptr(output) }
}

/// Lets matrix products and convolutions of this thread compute in bf16 until dropped.
pub(crate) struct Bf16 {
    cuda: bool,
}

impl Bf16 {
    pub(crate) fn begin(device: Device) -> Result<Self, LearnError> {
        let cuda = device.is_cuda();
        // SAFETY: sets state of this thread alone, and takes no pointers.
        checked(unsafe { annals_bf16(true, cuda) })?;
        Ok(Self { cuda })
    }
}

impl Drop for Bf16 {
    fn drop(&mut self) {
        // SAFETY: as above. Turning off what was turned on cannot fail.
        let _ = unsafe { annals_bf16(false, self.cuda) };
    }
}
