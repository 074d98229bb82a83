#include "exec/cuda/cudnn_graphs.h"

#include "exec/cuda/layout.h"

#include <exception>
#include <unordered_map>
#include <utility>
#include <vector>

#include <cudnn_frontend.h>

namespace mts::exec::cuda {
namespace {

namespace fe = cudnn_frontend;
using TensorPtr = std::shared_ptr<fe::graph::Tensor_attributes>;

fe::DataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return fe::DataType_t::HALF;
    case DType::kBfloat16:
      return fe::DataType_t::BFLOAT16;
    default:
      return fe::DataType_t::FLOAT;
  }
}

tl::unexpected<Error> failed(const std::string& what, fe::error_object status) {
  return fail(ErrorCode::kDevice, "cuDNN has no plan for " + what + ": " + status.get_message());
}

// The handle of the device at hand; shared by all plans, which set its stream.
struct Handle {
  cudnnHandle_t handle = nullptr;
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (handle != nullptr) cudnnDestroy(handle);
  }
};

class Plan final : public CudnnPlan {
 public:
  // Operand k is the tensor with uid k + 1.
  Plan(std::shared_ptr<fe::graph::Graph> graph, int64_t index, std::shared_ptr<Handle> handle)
      : graph_(std::move(graph)), index_(index), handle_(std::move(handle)) {
    workspace_ =
        static_cast<uint64_t>(std::max<int64_t>(0, graph_->get_workspace_size_plan_at_index(index_)));
    if (graph_->get_plan_name_at_index(index_, name_).is_bad()) name_ = "unknown";
  }

  uint64_t workspace_bytes() const override { return workspace_; }
  std::string name() const override { return name_; }

  Result<void> enqueue(std::span<std::byte* const> operands, std::byte* workspace, void* stream) override {
    if (handle_ == nullptr) return fail(ErrorCode::kInternal, "a plan made without a device cannot run");
    if (cudnnSetStream(handle_->handle, static_cast<cudaStream_t>(stream)) != CUDNN_STATUS_SUCCESS)
      return fail(ErrorCode::kDevice, "cuDNN refuses the stream");
    std::unordered_map<int64_t, void*> addresses;
    for (size_t i = 0; i < operands.size(); ++i) addresses[static_cast<int64_t>(i) + 1] = operands[i];
    auto status = graph_->execute_plan_at_index(handle_->handle, addresses, workspace, index_);
    if (status.is_bad()) return fail(ErrorCode::kDevice, "cuDNN: " + status.get_message());
    return {};
  }

 private:
  std::shared_ptr<fe::graph::Graph> graph_;
  int64_t index_;
  std::shared_ptr<Handle> handle_;
  uint64_t workspace_ = 0;
  std::string name_;
};

class Graphs final : public CudnnGraphs {
 public:
  Graphs(std::shared_ptr<fe::DeviceProperties> device, std::shared_ptr<Handle> handle)
      : device_(std::move(device)), handle_(std::move(handle)) {}

  // conv, then the addend, the bias, the activation: the order in which cuDNN's ready-made kernels fuse them.
  Result<Plans> build(const ConvCall& call, size_t most) override {
    const auto graph = new_graph(call.dtype);
    const TensorPtr x = tensor(*graph, 1, call.x), w = tensor(*graph, 2, call.w);
    int64_t uid = 2;
    TensorPtr y = graph->conv_fprop(x, w,
                                    fe::graph::Conv_fprop_attributes()
                                        .set_pre_padding(call.pads_begin)
                                        .set_post_padding(call.pads_end)
                                        .set_stride(call.strides)
                                        .set_dilation(call.dilations));
    y->set_dim(call.y);
    const auto add = [&](const Dims& dims) {
      const TensorPtr operand = tensor(*graph, ++uid, dims);
      y = graph->pointwise(y, operand, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
    };
    Dims vector(call.y.size(), 1);
    vector[1] = call.y[1];
    if (call.addend) add(call.y);
    if (call.bias) add(vector);
    if (call.activation == Activation::kRelu) {
      y = graph->pointwise(y, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::RELU_FWD));
    }
    finish(*y, uid + 1, call.y);
    return plans(graph, call.math == Math::kStrict, most, call.signature());
  }

  Result<Plans> build(const PoolCall& call, size_t most) override {
    const auto graph = new_graph(call.dtype);
    const TensorPtr x = tensor(*graph, 1, call.x);
    const bool is_max = call.pooling == Pooling::kMax;
    const auto mode = is_max                              ? fe::ResampleMode_t::MAXPOOL
                      : call.pooling == Pooling::kAverage ? fe::ResampleMode_t::AVGPOOL_EXCLUDE_PADDING
                                                          : fe::ResampleMode_t::AVGPOOL_INCLUDE_PADDING;
    const auto outputs = graph->resample(
        x, fe::graph::Resample_attributes()
               .set_resampling_mode(mode)
               .set_padding_mode(is_max ? fe::PaddingMode_t::NEG_INF_PAD : fe::PaddingMode_t::ZERO_PAD)
               .set_window(call.kernel)
               .set_stride(call.strides)
               .set_pre_padding(call.pads_begin)
               .set_post_padding(call.pads_end)
               .set_generate_index(false));
    finish(*outputs[0], 2, call.y);
    return plans(graph, false, most, call.signature());
  }

 private:
  std::shared_ptr<fe::graph::Graph> new_graph(DType dtype) const {
    auto graph = std::make_shared<fe::graph::Graph>();
    graph->set_device_properties(device_)
        .set_io_data_type(data_type(dtype))
        .set_compute_data_type(fe::DataType_t::FLOAT)
        .set_intermediate_data_type(fe::DataType_t::FLOAT);
    return graph;
  }

  static TensorPtr tensor(fe::graph::Graph& graph, int64_t uid, const Dims& dims) {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_name("t" + std::to_string(uid))
                            .set_uid(uid)
                            .set_dim(dims)
                            .set_stride(strides_of(dims, kChannelsLast)));
  }

  static void finish(fe::graph::Tensor_attributes& y, int64_t uid, const Dims& dims) {
    y.set_output(true).set_uid(uid).set_dim(dims).set_stride(strides_of(dims, kChannelsLast));
  }

  Result<Plans> plans(const std::shared_ptr<fe::graph::Graph>& graph, bool strict, size_t most,
                      const std::string& what) const {
    try {
      if (auto status = graph->validate(); status.is_bad()) return failed(what, status);
      if (auto status = graph->build_operation_graph(); status.is_bad()) return failed(what, status);
      auto status = graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
      if (status.is_bad()) return failed(what, status);
      if (strict) {
        // TF32 rounds the operands to 10 bits: not float32.
        graph->deselect_numeric_notes(
            {fe::NumericalNote_t::TENSOR_CORE, fe::NumericalNote_t::DOWN_CONVERT_INPUTS});
      }
      Plans built;
      for (int64_t i = 0; i < graph->get_execution_plan_count() && built.size() < most; ++i) {
        status = graph->build_plan_at_index(i);
        if (status.is_good()) built.push_back(std::make_shared<Plan>(graph, i, handle_));
      }
      if (built.empty()) return failed(what, status);
      return built;
    } catch (const std::exception& error) {
      return fail(ErrorCode::kDevice, std::string("cuDNN: ") + error.what());
    }
  }

  std::shared_ptr<fe::DeviceProperties> device_;
  std::shared_ptr<Handle> handle_;
};

}  // namespace

Result<std::unique_ptr<CudnnGraphs>> cudnn_graphs() {
  auto handle = std::make_shared<Handle>();
  const cudnnStatus_t created = cudnnCreate(&handle->handle);
  if (created != CUDNN_STATUS_SUCCESS)
    return fail(ErrorCode::kDevice, std::string("cuDNN cannot start: ") + cudnnGetErrorString(created));
  auto device = std::make_shared<fe::DeviceProperties>();
  if (auto status = device->set_handle(handle->handle).build(); status.is_bad())
    return fail(ErrorCode::kDevice, "cuDNN does not know the device: " + status.get_message());
  return std::make_unique<Graphs>(std::move(device), std::move(handle));
}

Result<std::unique_ptr<CudnnGraphs>> cudnn_graphs_without_device(const std::string& properties_json) {
  std::vector<uint8_t> bytes(properties_json.begin(), properties_json.end());
  bytes.push_back(0);
  auto device = std::make_shared<fe::DeviceProperties>();
  if (auto status = device->deserialize(bytes); status.is_bad())
    return fail(ErrorCode::kDevice, "cuDNN does not read the device properties: " + status.get_message());
  return std::make_unique<Graphs>(std::move(device), nullptr);
}

std::string cudnn_version() {
  const size_t version = cudnnGetVersion();  // 91900: 9.19.0
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace mts::exec::cuda
