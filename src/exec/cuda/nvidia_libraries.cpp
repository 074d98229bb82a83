#include "exec/cuda/nvidia_libraries.h"

#include "exec/cuda/copies.h"
#include "exec/cuda/own_candidates.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mts::exec::cuda {
namespace {

class NvidiaLibraries final : public Libraries {
 public:
  NvidiaLibraries(std::unique_ptr<CudnnGraphs> graphs, std::unique_ptr<CublasLtProducts> products,
                  std::unique_ptr<Autotuner> autotuner)
      : graphs_(std::move(graphs)), products_(std::move(products)), autotuner_(std::move(autotuner)) {}

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
    if (is_new) at->second = prepare_new(call, library);
    return at->second;
  }

  template <class Call, class Library>
  PreparedResult prepare_new(const Call& call, Library& library) {
    MTS_ASSIGN(const auto built, library.build(call, autotuner_ == nullptr ? 1 : kMostCandidates));
    if (autotuner_ == nullptr) return built.front();
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < built.size(); ++i) candidates.push_back({name_of(*built[i], i), built[i]});
    add_one_after_another(call, candidates);
    for (Candidate& own : own_candidates(call)) candidates.push_back(std::move(own));
    return autotuner_->choose(call.signature(), candidates, operand_bytes(call));
  }

  void add_one_after_another(const GemmCall& call, std::vector<Candidate>& candidates) {
    const std::optional<GemmCall> one = one_of(call);
    if (!one) return;
    const auto built = products_->build(*one, 1);
    if (built) candidates.push_back({"one after another", one_after_another(call, built->front())});
  }
  template <class Call>
  static void add_one_after_another(const Call&, std::vector<Candidate>&) {}

  static std::string name_of(const CudnnPlan& plan, size_t) { return plan.name(); }
  static std::string name_of(const PreparedCall&, size_t i) { return "heuristic " + std::to_string(i); }

  std::unique_ptr<CudnnGraphs> graphs_;
  std::unique_ptr<CublasLtProducts> products_;
  std::unique_ptr<Autotuner> autotuner_;
  std::map<std::string, PreparedResult> prepared_;
};

}  // namespace

std::unique_ptr<Libraries> make_nvidia_libraries(std::unique_ptr<CudnnGraphs> graphs,
                                                 std::unique_ptr<CublasLtProducts> products,
                                                 std::unique_ptr<Autotuner> autotuner) {
  return std::make_unique<NvidiaLibraries>(std::move(graphs), std::move(products), std::move(autotuner));
}

}  // namespace mts::exec::cuda
