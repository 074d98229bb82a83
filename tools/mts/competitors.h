// What `mts bench` compares: the fused model, its originals one after another, and the ways of putting them
// into one graph that others would choose. All get the same inputs; each is checked against the originals
// before its time counts.
#pragma once

#include <mts/bench.h>
#include <mts/error.h>
#include <mts/executor.h>
#include <mts/graph.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mts::tool {

struct CompetitionOptions {
  ExecutorOptions executor;
  std::map<std::string, int64_t> dims;  // others are 1
  std::map<std::string, std::pair<double, double>> ranges;
  std::string inputs_directory;
  uint64_t seed = 1;
  std::vector<std::string> only;  // names; empty: all
};

class Competition {
 public:
  // `originals` may be empty: then there is only `fused`. A baseline that cannot be made or run becomes a row
  // with its error; kUnsupported, kDevice, ... only when `fused` itself cannot run.
  static Result<Competition> create(const Model& fused, const std::vector<Model>& originals,
                                    const CompetitionOptions& options);

  const std::vector<Competitor>& competitors() const { return competitors_; }

 private:
  Session* keep(std::unique_ptr<Session> session);

  std::deque<Model> models_;  // stitched here; sessions refer to them
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<Competitor> competitors_;
};

}  // namespace mts::tool
