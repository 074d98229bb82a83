#include "exec/cuda/cublaslt_products.h"

#include "exec/cuda/layout.h"

#include <memory>
#include <utility>
#include <vector>

#include <cublasLt.h>

namespace mts::exec::cuda {
namespace {

constexpr uint64_t kMostWorkspace = uint64_t{32} << 20;  // what NVIDIA recommends for Hopper

tl::unexpected<Error> failed(const GemmCall& call, cublasStatus_t status) {
  return fail(ErrorCode::kDevice,
              "cuBLASLt has nothing for " + call.signature() + ": " + cublasLtGetStatusString(status));
}

cudaDataType_t data_type(DType dtype) {
  return dtype == DType::kFloat16 ? CUDA_R_16F : dtype == DType::kBfloat16 ? CUDA_R_16BF : CUDA_R_32F;
}

struct Handle {
  cublasLtHandle_t handle = nullptr;
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (handle != nullptr) cublasLtDestroy(handle);
  }
};

template <class T, cublasStatus_t (*Destroy)(T)>
struct Destroyer {
  using pointer = T;
  void operator()(T object) const { Destroy(object); }
};
using Operation = std::unique_ptr<void, Destroyer<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>>;
using Layout = std::unique_ptr<void, Destroyer<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>>;
using Preference =
    std::unique_ptr<void, Destroyer<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>>;

// A row-major matrix of `rows` x `columns` is a column-major one of `columns` x `rows`.
cublasStatus_t make_layout(Layout& layout, const GemmCall& call, int64_t rows, int64_t columns,
                           int64_t leading, int64_t stride) {
  cublasLtMatrixLayout_t made = nullptr;
  cublasStatus_t status = cublasLtMatrixLayoutCreate(
      &made, data_type(call.dtype), static_cast<uint64_t>(columns), static_cast<uint64_t>(rows), leading);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  layout.reset(made);
  const auto batch = static_cast<int32_t>(call.batch);
  status = cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof(batch));
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                          sizeof(stride));
}

class Product final : public PreparedCall {
 public:
  Product(const GemmCall& call, std::shared_ptr<Handle> handle) : call_(call), handle_(std::move(handle)) {}

  // Takes the algorithm at `position` of the heuristics' list.
  cublasStatus_t prepare(size_t position) {
    const bool float32 = call_.dtype == DType::kFloat32;
    const cublasComputeType_t compute =
        float32 && call_.math == Math::kFast ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cublasLtMatmulDesc_t operation = nullptr;
    cublasStatus_t status = cublasLtMatmulDescCreate(&operation, compute, CUDA_R_32F);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    operation_.reset(operation);
    // cuBLASLt's A is our b, its B our a.
    const cublasOperation_t first = call_.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                            second = call_.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    status = set(CUBLASLT_MATMUL_DESC_TRANSA, first);
    if (status == CUBLAS_STATUS_SUCCESS) status = set(CUBLASLT_MATMUL_DESC_TRANSB, second);
    if (status == CUBLAS_STATUS_SUCCESS) status = set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue());
    if (status == CUBLAS_STATUS_SUCCESS && call_.bias) {
      // The address is set at each launch; the heuristic only wants to know that there is one, and how
      // aligned.
      const void* const some = reinterpret_cast<const void*>(uintptr_t{256});
      status = set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, some);
      if (status == CUBLAS_STATUS_SUCCESS && call_.stride_bias != 0)
        status = set(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, call_.stride_bias);
    }
    const int64_t m = call_.rows, n = call_.columns, k = call_.inner;
    if (status == CUBLAS_STATUS_SUCCESS)
      status = make_layout(b_, call_, call_.b_transposed ? n : k, call_.b_transposed ? k : n, call_.ldb,
                           call_.stride_b);
    if (status == CUBLAS_STATUS_SUCCESS)
      status = make_layout(a_, call_, call_.a_transposed ? k : m, call_.a_transposed ? m : k, call_.lda,
                           call_.stride_a);
    if (status == CUBLAS_STATUS_SUCCESS) status = make_layout(d_, call_, m, n, call_.ldd, call_.stride_d);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    cublasLtMatmulPreference_t preference = nullptr;
    status = cublasLtMatmulPreferenceCreate(&preference);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const Preference owner(preference);
    status = cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                  &kMostWorkspace, sizeof(kMostWorkspace));
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    for (const auto attribute :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      const uint32_t bytes = alignment();
      status = cublasLtMatmulPreferenceSetAttribute(preference, attribute, &bytes, sizeof(bytes));
      if (status != CUBLAS_STATUS_SUCCESS) return status;
    }
    std::vector<cublasLtMatmulHeuristicResult_t> found(position + 1);
    int count = 0;
    status = cublasLtMatmulAlgoGetHeuristic(handle_->handle, operation_.get(), b_.get(), a_.get(), d_.get(),
                                            d_.get(), preference, static_cast<int>(found.size()),
                                            found.data(), &count);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (static_cast<size_t>(count) <= position) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (found[position].state != CUBLAS_STATUS_SUCCESS) return found[position].state;
    algorithm_ = found[position].algo;
    workspace_ = found[position].workspaceSize;
    return CUBLAS_STATUS_SUCCESS;
  }

  uint64_t workspace_bytes() const override { return workspace_; }

  Result<void> enqueue(std::span<std::byte* const> operands, std::byte* workspace, void* stream) override {
    size_t next = 2;
    const void* const addend = call_.addend ? operands[next++] : nullptr;
    if (call_.bias) {
      const void* const bias = operands[next++];
      if (const cublasStatus_t status = set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
          status != CUBLAS_STATUS_SUCCESS)
        return failed(call_, status);
    }
    std::byte* const d = operands[next];
    const float alpha = call_.alpha, beta = call_.addend ? 1.f : 0.f;
    const cublasStatus_t status =
        cublasLtMatmul(handle_->handle, operation_.get(), &alpha, operands[1], b_.get(), operands[0],
                       a_.get(), &beta, addend != nullptr ? addend : d, d_.get(), d, d_.get(), &algorithm_,
                       workspace, workspace_, static_cast<cudaStream_t>(stream));
    if (status != CUBLAS_STATUS_SUCCESS) return failed(call_, status);
    return {};
  }

 private:
  template <class T>
  cublasStatus_t set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    return cublasLtMatmulDescSetAttribute(operation_.get(), attribute, &value, sizeof(value));
  }

  cublasLtEpilogue_t epilogue() const {
    switch (call_.activation) {
      case Activation::kRelu:
        return call_.bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
      case Activation::kGeluTanh:
        return call_.bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
      case Activation::kNone:
        break;
    }
    return call_.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  }

  // Of every matrix of the batch: values begin at multiples of kPartAlignment, the next matrix a stride
  // further.
  uint32_t alignment() const {
    uint64_t bits = kPartAlignment;
    const auto element = static_cast<uint64_t>(bit_width(call_.dtype)) / 8;
    for (const int64_t stride : {call_.stride_a, call_.stride_b, call_.stride_d})
      bits |= static_cast<uint64_t>(stride) * element;
    return static_cast<uint32_t>(bits & (~bits + 1));  // the lowest bit set
  }

  GemmCall call_;
  std::shared_ptr<Handle> handle_;
  Operation operation_;
  Layout a_, b_, d_;
  cublasLtMatmulAlgo_t algorithm_{};
  uint64_t workspace_ = 0;
};

class Products final : public CublasLtProducts {
 public:
  explicit Products(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}
  Result<std::vector<std::shared_ptr<PreparedCall>>> build(const GemmCall& call, size_t most) override {
    std::vector<std::shared_ptr<PreparedCall>> products;
    while (products.size() < most) {
      auto product = std::make_shared<Product>(call, handle_);
      const cublasStatus_t status = product->prepare(products.size());
      if (status != CUBLAS_STATUS_SUCCESS && products.empty()) return failed(call, status);
      if (status != CUBLAS_STATUS_SUCCESS) break;
      products.push_back(std::move(product));
    }
    return products;
  }

 private:
  std::shared_ptr<Handle> handle_;
};

}  // namespace

Result<std::unique_ptr<CublasLtProducts>> cublaslt_products() {
  auto handle = std::make_shared<Handle>();
  const cublasStatus_t status = cublasLtCreate(&handle->handle);
  if (status != CUBLAS_STATUS_SUCCESS)
    return fail(ErrorCode::kDevice, std::string("cuBLASLt cannot start: ") + cublasLtGetStatusString(status));
  return std::make_unique<Products>(std::move(handle));
}

std::string cublaslt_version() {
  const size_t version = cublasLtGetVersion();  // 130002: 13.0.2
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace mts::exec::cuda
