#include "exec/cuda/own/tile_table.h"

#include <algorithm>
#include <set>
#include <string>

namespace mts::exec::cuda {
namespace {

// The ranges between neighbouring cuts, at most `most` long.
std::vector<TileRange> ranges_between(const std::set<int32_t>& cuts, int32_t most) {
  std::vector<TileRange> ranges;
  for (auto cut = cuts.begin(); cut != cuts.end() && std::next(cut) != cuts.end(); ++cut) {
    const int32_t end = *std::next(cut);
    for (int32_t begin = *cut; begin < end; begin += most)
      ranges.push_back({begin, std::min(begin + most, end)});
  }
  return ranges;
}

bool is_inside(const TileRange& part, const TileRange& whole) {
  return part.begin >= whole.begin && part.end <= whole.end;
}

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(ErrorCode::kInternal, "the blocks of a partly shared weight " + what);
}

}  // namespace

Result<TileTableData> tile_table(int32_t groups, int32_t rows, int32_t depth,
                                 std::span<const WeightBlock> blocks) {
  std::set<int32_t> row_cuts = {0, rows}, depth_cuts = {0, depth};
  for (const WeightBlock& block : blocks) {
    const bool fits = is_inside(block.rows, {0, rows}) && is_inside(block.depth, {0, depth}) &&
                      block.rows.begin <= block.rows.end && block.depth.begin <= block.depth.end &&
                      block.group >= 0 && block.group < groups;
    if (!fits) return refuse("lie outside of it");
    if (block.source < 0 || block.source >= kMaxWeightSources)
      return refuse("come from more than " + std::to_string(kMaxWeightSources) + " weights");
    row_cuts.insert({block.rows.begin, block.rows.end});
    depth_cuts.insert({block.depth.begin, block.depth.end});
  }
  TileTableData table;
  table.rows = ranges_between(row_cuts, kMostTileRows);
  table.depth = ranges_between(depth_cuts, std::max(depth, 1));
  for (int32_t group = 0; group < groups; ++group) {
    for (const TileRange& r : table.rows) {
      for (const TileRange& d : table.depth) {
        const WeightBlock* found = nullptr;
        for (const WeightBlock& block : blocks) {
          if (block.group != group || !is_inside(r, block.rows) || !is_inside(d, block.depth)) continue;
          if (found != nullptr) return refuse("overlap");
          found = &block;
        }
        if (found == nullptr) return refuse("leave a gap");
        table.tiles.push_back({found->offset + int64_t{r.begin - found->rows.begin} * found->row_stride +
                                   d.begin - found->depth.begin,
                               found->row_stride, found->source});
      }
    }
  }
  return table;
}

Result<TileTable> upload(OwnDevice& device, const TileTableData& data) {
  TileTable table;
  table.row_tiles = static_cast<int32_t>(data.rows.size());
  table.segments = static_cast<int32_t>(data.depth.size());
  MTS_ASSIGN(const void* const rows, device.upload(std::as_bytes(std::span(data.rows))));
  MTS_ASSIGN(const void* const depth, device.upload(std::as_bytes(std::span(data.depth))));
  MTS_ASSIGN(const void* const tiles, device.upload(std::as_bytes(std::span(data.tiles))));
  table.rows = static_cast<const TileRange*>(rows);
  table.depth = static_cast<const TileRange*>(depth);
  table.tiles = static_cast<const WeightTile*>(tiles);
  return table;
}

}  // namespace mts::exec::cuda
