#include "plan/group_search.h"

#include "base/parallel.h"
#include "plan/memory.h"
#include "plan/schedule.h"
#include "plan/signature.h"
#include "plan/similarity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>

#include <fmt/format.h>

namespace mts {
namespace {

// Neighbours that have less of their work in common are not tried in one group (but all models are).
constexpr double kRelated = 0.5;
// Members that may be planned in all, all models in one group aside: bounds the time of the search.
constexpr size_t kMostPlanned = 400'000;
constexpr double kNever = std::numeric_limits<double>::infinity();

struct Piece {
  double nanoseconds = kNever;
  double activations = kNever;  // bytes
  bool possible() const { return nanoseconds < kNever; }
};

struct Job {  // a piece to be planned
  size_t begin = 0, end = 0, members = 0;
  Piece* piece = nullptr;
};

struct Division {
  std::vector<size_t> ends;  // places in the order, ascending; the last is the number of models
  double nanoseconds = kNever;
  double activations = 0;
};

class GroupSearch {
 public:
  GroupSearch(const Program& program, const CostModel& cost, const GroupSearchOptions& options)
      : program_(program),
        cost_(cost),
        options_(options),
        order_(order_by_similarity(program, cost)),
        signatures_(program),
        count_(order_.models.size()),
        own_members_(program.models->size(), 0) {
    for (const Column& column : program.columns)
      for (const Member& member : column.members)
        if (member.origins.size() == 1) {
          ++own_members_[member.origins.front().first];
        } else {
          common_members_.push_back(&member);
        }
    for (const WeightPtr& weight : program.weights)
      if (weight != nullptr) constants_ += static_cast<double>(weight->byte_size());
    for (size_t size = 1; size <= count_; size = size < 4        ? size + 1
                                                 : size % 3 == 0 ? size / 3 * 4
                                                                 : size / 2 * 3)
      sizes_.insert(size);
    if (options.groups > 0) {
      const auto groups = static_cast<size_t>(options.groups);
      sizes_.insert(count_ / groups);
      sizes_.insert((count_ + groups - 1) / groups);
      sizes_.erase(0);
    }
  }

  Result<Groups> run();

 private:
  std::span<const uint32_t> models(size_t begin, size_t end) const {
    return std::span(order_.models).subspan(begin, end - begin);
  }
  bool related(size_t begin, size_t end) const;
  size_t member_count(std::span<const uint32_t> models) const;
  void want(size_t begin, size_t end);
  void plan_piece(const Job& job) const;
  void measure_pieces();
  // The fastest division whose groups each need at most `activations` bytes; exactly `groups`, when not 0.
  Division divide(double activations, size_t groups) const;
  Result<Division> within_memory() const;
  Result<Division> within_latency() const;
  Groups groups_of(const Division& division) const;

  const Program& program_;
  const CostModel& cost_;
  const GroupSearchOptions& options_;
  SimilarityOrder order_;
  Signatures signatures_;
  size_t count_;
  double constants_ = 0;
  std::set<size_t> sizes_;
  std::vector<size_t> own_members_;            // [model]: those that no other model has
  std::vector<const Member*> common_members_;  // of several models
  std::map<Signature, Piece> planned_;
  size_t members_planned_ = 0;
  std::vector<Job> jobs_;
  std::vector<std::map<size_t, const Piece*>> pieces_;  // [begin], by end
};

bool GroupSearch::related(size_t begin, size_t end) const {
  for (size_t i = begin + 1; i < end; ++i)
    if (order_.related[i] < kRelated) return false;
  return true;
}

size_t GroupSearch::member_count(std::span<const uint32_t> models) const {
  size_t count = 0;
  std::vector<bool> chosen(program_.models->size(), false);
  for (const uint32_t model : models) {
    chosen[model] = true;
    count += own_members_[model];
  }
  for (const Member* member : common_members_)
    count += std::ranges::any_of(member->origins, [&](const auto& origin) { return chosen[origin.first]; })
                 ? 1
                 : 0;
  return count;
}

// Notes that a piece is wanted, and whether it has to be planned.
void GroupSearch::want(size_t begin, size_t end) {
  const auto chosen = models(begin, end);
  const auto [it, added] = planned_.try_emplace(signatures_.of(chosen));
  pieces_[begin][end] = &it->second;
  if (!added) return;
  const bool all = end - begin == count_;
  const size_t members = member_count(chosen);
  if (!all && members_planned_ + members > kMostPlanned && end - begin > 1) return;
  members_planned_ += all ? 0 : members;
  jobs_.push_back({begin, end, members, &it->second});
}

void GroupSearch::plan_piece(const Job& job) const {
  const auto chosen = models(job.begin, job.end);
  if (job.end - job.begin == count_ && options_.whole != nullptr) {
    const auto order = schedule(program_, options_.whole->columns, {{chosen.begin(), chosen.end()}});
    *job.piece = {static_cast<double>(options_.whole->predicted - cost_.run()),
                  predicted_memory(program_, options_.whole->columns, order).activations};
    return;
  }
  const Program part = of_models(program_, chosen);
  PlanOptions options = options_.plan;
  options.groups = {{chosen.begin(), chosen.end()}};
  options.explain = false;
  const Plan plan = make_plan(part, cost_, options);
  *job.piece = {static_cast<double>(plan.predicted - cost_.run()), plan.predicted_memory.activations};
}

void GroupSearch::measure_pieces() {
  pieces_.resize(count_);
  // Small pieces first: they are cheap, and needed by every division.
  for (const size_t size : sizes_)
    for (size_t begin = 0; begin + size <= count_; ++begin)
      if (related(begin, begin + size)) want(begin, begin + size);
  // Whole families, and what is left of each after pieces of the usual sizes.
  for (size_t begin = 0, end = 0; begin < count_; begin = end) {
    for (end = begin + 1; end < count_ && order_.related[end] >= kRelated;) ++end;
    want(begin, end);
    for (const size_t size : sizes_)
      if (const size_t left = (end - begin) % size; left > 0) want(end - left, end);
  }
  for (size_t g = 0; g < static_cast<size_t>(options_.groups); ++g)
    want(count_ * g / static_cast<size_t>(options_.groups),
         count_ * (g + 1) / static_cast<size_t>(options_.groups));
  want(0, count_);
  // The largest first, so that the threads end together.
  std::ranges::stable_sort(jobs_, std::ranges::greater{}, &Job::members);
  for_each_parallel(jobs_.size(), core_count(), [&](size_t j) { plan_piece(jobs_[j]); });
}

Division GroupSearch::divide(double activations, size_t groups) const {
  // best[k][j]: the first j models in k groups, or in any number of them (one layer only).
  const size_t layers = groups == 0 ? 1 : groups + 1;
  struct State {
    double nanoseconds = kNever, activations = 0;
    size_t from = 0;
  };
  std::vector<std::vector<State>> best(layers, std::vector<State>(count_ + 1));
  best[0][0].nanoseconds = 0;
  for (size_t begin = 0; begin < count_; ++begin)
    for (size_t k = 0; k < layers; ++k) {
      const State& from = best[k][begin];
      const size_t next = groups == 0 ? 0 : k + 1;
      if (from.nanoseconds == kNever || next == layers) continue;
      for (const auto& [end, piece] : pieces_[begin]) {
        if (!piece->possible() || piece->activations > activations) continue;
        State& to = best[next][end];
        const double nanoseconds = from.nanoseconds + piece->nanoseconds;
        if (nanoseconds >= to.nanoseconds) continue;
        to = {nanoseconds, std::max(from.activations, piece->activations), begin};
      }
    }
  Division division;
  size_t k = layers - 1;
  division.nanoseconds = best[k][count_].nanoseconds;
  division.activations = best[k][count_].activations;
  if (division.nanoseconds == kNever) return division;
  for (size_t end = count_; end > 0;) {
    division.ends.push_back(end);
    end = best[k][end].from;
    if (groups != 0) --k;
  }
  std::ranges::reverse(division.ends);
  return division;
}

std::string megabytes(double bytes) { return fmt::format("{:.1f} MB", bytes / 1e6); }

Result<Division> GroupSearch::within_memory() const {
  const double budget = *options_.memory_budget;
  Division division = divide(budget - constants_ - options_.held, static_cast<size_t>(options_.groups));
  if (division.nanoseconds < kNever) return division;
  double least = 0;
  for (size_t begin = 0; begin < count_; ++begin)
    least = std::max(least, pieces_[begin].at(begin + 1)->activations);
  return fail(
      ErrorCode::kCheckFailed,
      fmt::format("a memory budget of {} cannot be kept{}: the weights take {}, what several groups need "
                  "{}, and the activations of the largest model alone {}, together {}",
                  megabytes(budget), options_.groups > 0 ? " with that number of groups" : "",
                  megabytes(constants_), megabytes(options_.held), megabytes(least),
                  megabytes(constants_ + options_.held + least)));
}

Result<Division> GroupSearch::within_latency() const {
  const double budget = *options_.latency_budget - static_cast<double>(cost_.run());
  std::set<double> needs;  // what a division can need: the most of its pieces
  for (const auto& ends : pieces_)
    for (const auto& [end, piece] : ends)
      if (piece->possible()) needs.insert(piece->activations);
  const auto groups = static_cast<size_t>(options_.groups);
  for (const double need : needs) {
    Division division = divide(need, groups);
    if (division.nanoseconds <= budget) return division;
  }
  const Division fastest = divide(kNever, groups);
  return fail(
      ErrorCode::kCheckFailed,
      fmt::format("a latency budget of {:.3f} ms cannot be kept: the fastest division is predicted to "
                  "take {:.3f} ms",
                  *options_.latency_budget / 1e6,
                  (fastest.nanoseconds + static_cast<double>(cost_.run())) / 1e6));
}

Groups GroupSearch::groups_of(const Division& division) const {
  Groups groups;
  size_t begin = 0;
  for (const size_t end : division.ends) {
    const auto chosen = models(begin, end);
    groups.emplace_back(chosen.begin(), chosen.end());
    begin = end;
  }
  return groups;
}

Result<Groups> GroupSearch::run() {
  if (options_.groups > static_cast<int64_t>(count_))
    return fail(ErrorCode::kUsage,
                fmt::format("{} models cannot be divided into {} groups", count_, options_.groups));
  measure_pieces();
  Division division;
  if (options_.memory_budget) {
    MTS_ASSIGN(division, within_memory());
  } else if (options_.latency_budget) {
    MTS_ASSIGN(division, within_latency());
  } else {
    division = divide(kNever, static_cast<size_t>(options_.groups));
  }
  return groups_of(division);
}

}  // namespace

Result<Groups> choose_groups(const Program& program, const CostModel& cost,
                             const GroupSearchOptions& options) {
  return GroupSearch(program, cost, options).run();
}

}  // namespace mts
