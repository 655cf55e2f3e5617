// What libtorch has and tch 0.24 does not name: the norm of many tensors, one AdamW update of many
// tensors in one pass over memory, mixed precision, and linear layers whose weights change no more. Called by shim.rs alone, which says what
// the pointers must be. No exception leaves this file: 1 is a failure that `annals_failure` tells.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/stack.h>

namespace {

thread_local std::string failure;

template <typename F>
int guarded(F&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "an exception without a message";
  }
  return 1;
}

std::vector<at::Tensor> listed(at::Tensor* const* tensors, std::size_t count) {
  std::vector<at::Tensor> list;
  list.reserve(count);
  for (std::size_t i = 0; i < count; i++) list.push_back(*tensors[i]);
  return list;
}

// Calls an operator that has a name and no C++ function of its own.
at::Tensor called(const char* name, torch::jit::Stack stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(&stack);
  return std::move(stack.at(0)).toTensor();
}

}  // namespace

extern "C" {

const char* annals_failure() { return failure.c_str(); }

int annals_norm(at::Tensor* const* tensors, std::size_t count, double* norm) {
  return guarded([&] {
    auto norms = at::stack(at::_foreach_norm(listed(tensors, count), 2.0, at::kDouble));
    *norm = norms.square().sum().sqrt().item<double>();
  });
}

int annals_adamw(at::Tensor* const* weights, at::Tensor* const* grads, at::Tensor* const* first,
                 at::Tensor* const* second, std::size_t count, const at::Tensor* step,
                 const at::Tensor* divisor, double lr, double beta1, double beta2, double decay,
                 double epsilon) {
  return guarded([&] {
    std::vector<at::Tensor> steps(count, *step);
    at::_fused_adamw_(listed(weights, count), listed(grads, count), listed(first, count),
                      listed(second, count), {}, steps, lr, beta1, beta2, decay, epsilon,
                      /*amsgrad=*/false, /*maximize=*/false, *divisor);
  });
}

int annals_pack(const at::Tensor* weight, std::int64_t rows, at::Tensor** packed) {
  return guarded([&] {
    *packed = new at::Tensor(called("mkldnn::_reorder_linear_weight", {*weight, rows}));
  });
}

int annals_linear(const at::Tensor* input, const at::Tensor* packed, const at::Tensor* bias, bool gelu,
                  at::Tensor** output) {
  return guarded([&] {
    c10::List<std::optional<at::Scalar>> none;
    *output = new at::Tensor(called("mkldnn::_linear_pointwise",
                                    {*input, *packed, *bias, gelu ? "gelu" : "none", none,
                                     gelu ? c10::IValue("none") : c10::IValue("")}));
  });
}

int annals_bf16(bool on, bool cuda) {
  return guarded([&] {
    auto device = cuda ? at::kCUDA : at::kCPU;
    if (on) {
      at::autocast::set_autocast_dtype(device, at::kBFloat16);
      at::autocast::increment_nesting();
    } else if (at::autocast::decrement_nesting() == 0) {
      // Casts of weights are remembered only while no update can change the weights.
      at::autocast::clear_cache();
    }
    at::autocast::set_autocast_enabled(device, on);
  });
}
}
