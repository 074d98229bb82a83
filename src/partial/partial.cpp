#include "partial/partial.h"

#include "partial/rewrite.h"
#include "partial/tables.h"

#include <mts/align.h>

namespace mts::partial {

Result<Report> split_shared_parts(std::vector<Model>& models, const std::vector<SharedInput>& shared_inputs) {
  Report report;
  if (models.size() < 2) return report;
  const WeightClasses classes = classify_weights(models);
  const Alignment alignment = align(models, classes, number_values(models, classes, shared_inputs));
  std::vector<Channels> channels;
  for (const Model& model : models) channels.push_back(find_channels(model));
  const Neurons neurons = find_neurons(models, channels, alignment, classes);
  const Segments segments(channels, neurons);
  const std::vector<ModelSharing> sharing = find_shared_blocks(models, channels, segments, alignment);
  for (uint32_t m = 0; m < models.size(); ++m) {
    MTS_ASSIGN(const Rewritten rewritten, rewrite(models[m], m, channels[m], segments, sharing[m]));
    report.row_splits += rewritten.row_splits;
    report.block_splits += rewritten.block_splits;
    report.changed |= rewritten.changed;
  }
  if (has_different_tables(models)) {
    const WeightClasses now = classify_weights(models);
    report.tables = merge_tables(models, align(models, now, number_values(models, now, shared_inputs)));
    report.changed |= report.tables > 0;
  }
  return report;
}

}  // namespace mts::partial
