// What libtorch has and tch 0.24 does not name: the norm of many tensors, one AdamW update of many
// tensors in one pass over memory, mixed precision, and linear layers by oneDNN. Called by shim.rs
// alone, which says what the pointers must be. No exception leaves this file: 1 is a failure that
// `annals_failure` tells.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/custom_function.h>

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

// `input` [.., inputs] times the transposed `weight` [outputs, inputs], plus `bias`, by oneDNN.
// Either may be a view with other strides. The operator has a name and no C++ function of its own.
at::Tensor product(const at::Tensor& input, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias) {
  static const auto by_name =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "");
  torch::jit::Stack stack{input, weight, bias, "none", c10::List<std::optional<at::Scalar>>(), ""};
  by_name.callBoxed(&stack);
  return std::move(stack.at(0)).toTensor();
}

// A linear layer whose three products are oneDNN's, forward and on the way back.
struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const at::Tensor& bias) {
    context->save_for_backward({input, weight});
    return product(input, weight, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    auto saved = context->get_saved_variables();
    auto &input = saved[0], &weight = saved[1];
    auto grad = grads[0].reshape({-1, weight.size(0)});
    torch::autograd::variable_list found(3);
    if (context->needs_input_grad(0))
      found[0] = product(grad, weight.t(), {}).view(input.sizes());
    if (context->needs_input_grad(1))
      found[1] = product(grad.t(), input.reshape({-1, weight.size(1)}).t(), {});
    if (context->needs_input_grad(2)) found[2] = grad.sum(0);
    return found;
  }
};

// Whether oneDNN is to multiply: numbers of 32 bits in the memory of the CPU.
bool by_onednn(const at::Tensor& input, const at::Tensor& weight) {
  return input.is_cpu() && input.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat &&
         !at::autocast::is_autocast_enabled(at::kCPU) && at::globalContext().hasMKLDNN();
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

int annals_linear(const at::Tensor* input, const at::Tensor* weight, const at::Tensor* bias,
                  at::Tensor** output) {
  return guarded([&] {
    auto found = by_onednn(*input, *weight) ? Linear::apply(*input, *weight, *bias)
                                            : at::linear(*input, *weight, *bias);
    *output = new at::Tensor(std::move(found));
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
