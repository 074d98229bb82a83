#include "exec/cuda/nvidia_libraries.h"

#include "exec/cuda/copies.h"

#include <map>
#include <string>
#include <utility>

namespace mts::exec::cuda {
namespace {

class NvidiaLibraries final : public Libraries {
 public:
  NvidiaLibraries(std::unique_ptr<CudnnGraphs> graphs, std::unique_ptr<CublasLtProducts> products)
      : graphs_(std::move(graphs)), products_(std::move(products)) {}

  bool takes(const ConvCall& call) override { return prepare(call).has_value(); }
  bool takes(const PoolCall& call) override { return prepare(call).has_value(); }
  bool takes(const GemmCall& call) override { return prepare(call).has_value(); }
  PreparedResult prepare(const ConvCall& call) override { return cached(call, *graphs_); }
  PreparedResult prepare(const PoolCall& call) override { return cached(call, *graphs_); }
  PreparedResult prepare(const GemmCall& call) override { return cached(call, *products_); }
  PreparedResult prepare(const CopyCall& call) override { return prepare_copy(call); }

 private:
  template <class Call, class Library>
  PreparedResult cached(const Call& call, Library& library) {
    const auto [at, is_new] = prepared_.try_emplace(call.signature());
    if (is_new) {
      auto built = library.build(call);
      if (built) {
        at->second = PreparedResult(std::move(*built));
      } else {
        at->second = PreparedResult(tl::unexpected(built.error()));
      }
    }
    return at->second;
  }

  std::unique_ptr<CudnnGraphs> graphs_;
  std::unique_ptr<CublasLtProducts> products_;
  std::map<std::string, PreparedResult> prepared_;
};

}  // namespace

std::unique_ptr<Libraries> make_nvidia_libraries(std::unique_ptr<CudnnGraphs> graphs,
                                                 std::unique_ptr<CublasLtProducts> products) {
  return std::make_unique<NvidiaLibraries>(std::move(graphs), std::move(products));
}

}  // namespace mts::exec::cuda
