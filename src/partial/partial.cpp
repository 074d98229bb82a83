#include "partial/partial.h"

#include "partial/rewrite.h"

#include <mts/align.h>

namespace mts::partial {

Result<Report> split_shared_parts(std::vector<Model>& models, const std::vector<SharedInput>& shared_inputs) {
  Report report;
  if (models.size() < 2) return report;
  const WeightClasses classes = classify_weights(models);
  const Alignment alignment = align(models, classes, number_values(models, classes, shared_inputs));
  if (getenv("DBGA")) for (const auto& set : alignment.sets) { fprintf(stderr, "SET"); for (uint32_t m = 0; m < models.size(); ++m) if (set.nodes[m] != kNoNode) fprintf(stderr, " %u:%s", m, models[m].graph.node(set.nodes[m]).name.c_str()); fprintf(stderr, "\n"); }
  std::vector<Channels> channels;
  for (const Model& model : models) channels.push_back(find_channels(model));
  const Neurons neurons = find_neurons(models, channels, alignment, classes);
  const Segments segments(channels, neurons);
  const std::vector<ModelSharing> sharing = find_shared_blocks(models, channels, segments, alignment);
  if (getenv("DBG"))
    for (const auto& set : alignment.sets)
      for (uint32_t m = 0; m < models.size(); ++m)
        if (set.nodes[m] != kNoNode) {
          auto it = sharing[m].layers.find(set.nodes[m]);
          if (it == sharing[m].layers.end()) continue;
          fprintf(stderr, "%u %s rows", m, models[m].graph.node(set.nodes[m]).name.c_str());
          for (auto& p : it->second.rows.pieces) fprintf(stderr, " s%u:%zu", p.segment, p.positions.size());
          fprintf(stderr, " cols");
          for (auto& p : it->second.columns.pieces)
            fprintf(stderr, " s%u:%zu", p.segment, p.positions.size());
          fprintf(stderr, " blocks");
          for (auto& l : it->second.blocks) {
            fprintf(stderr, " [");
            for (auto b : l) fprintf(stderr, "%u ", b);
            fprintf(stderr, "]");
          }
          fprintf(stderr, "\n");
        }
  for (uint32_t m = 0; m < models.size(); ++m) {
    MTS_ASSIGN(const Rewritten rewritten, rewrite(models[m], m, channels[m], segments, sharing[m]));
    report.row_splits += rewritten.row_splits;
    report.block_splits += rewritten.block_splits;
    report.changed |= rewritten.changed;
  }
  return report;
}

}  // namespace mts::partial
