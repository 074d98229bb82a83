// Profiles as JSON: reading with the field in every message, and writing.
#include "plan/json_reader.h"
#include "plan/profile.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace mts {
namespace {

constexpr int kSchemaVersion = 1;
// Of a memory level, in a profile.
constexpr const char *kStreaming = "bytes_per_second", *kReuse = "reuse_bytes_per_second";
constexpr std::array kRateTypes = {DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBfloat16,
                                   DType::kInt8};

void read_flops(JsonReader& reader, const Json& json, DeviceProfile& profile) {
  if (!json.is_object()) return reader.refuse("flops", "is not an object");
  for (const auto& [key, value] : json.items()) {
    const auto type = std::ranges::find(kRateTypes, std::string_view(key), name_of);
    if (type == kRateTypes.end())
      return reader.refuse("flops." + key, "is none of float64, float32, float16, bfloat16, int8");
    profile.flops[*type] = reader.number(value, "flops." + key);
  }
  if (!profile.flops.contains(DType::kFloat32)) reader.refuse("flops.float32", "is missing");
}

// The last entry is DRAM, which holds everything.
void read_memory(JsonReader& reader, const Json& json, DeviceProfile& profile) {
  if (!reader.list(json, "memory")) return;
  double bytes = 0;
  for (size_t i = 0; i < json.size() && reader.ok(); ++i) {
    const std::string field = JsonReader::at("memory", i);
    const bool last = i + 1 == json.size();
    if (!(last ? reader.object(json[i], field, {"name", kStreaming, kReuse})
               : reader.object(json[i], field, {"name", "bytes", kStreaming, kReuse})))
      return;
    CacheLevel level{.name = reader.text(json[i]["name"], field + ".name")};
    level.bandwidth = {.streaming = reader.number(json[i][kStreaming], field + "." + kStreaming),
                       .reuse = reader.number(json[i][kReuse], field + "." + kReuse)};
    if (last) {
      profile.memory_bandwidth = level.bandwidth;
      continue;
    }
    level.bytes = reader.number(json[i]["bytes"], field + ".bytes");
    if (level.bytes <= bytes) reader.refuse(field + ".bytes", "is not more than that of the level before it");
    bytes = level.bytes;
    profile.caches.push_back(std::move(level));
  }
}

EfficiencyCurve read_curve(JsonReader& reader, const Json& json, const std::string& field) {
  EfficiencyCurve curve;
  if (!reader.list(json, field)) return curve;
  for (size_t i = 0; i < json.size() && reader.ok(); ++i) {
    const std::string entry = JsonReader::at(field, i);
    if (!reader.object(json[i], entry, {"channels", "efficiency"})) break;
    const EfficiencyPoint point{
        .channels = reader.number(json[i]["channels"], entry + ".channels"),
        .efficiency = reader.number(json[i]["efficiency"], entry + ".efficiency", false, 1)};
    if (!curve.empty() && point.channels <= curve.back().channels)
      reader.refuse(entry + ".channels", "is not more than that of the entry before it");
    curve.push_back(point);
  }
  return curve;
}

constexpr const char* kFusions[] = {"none", "convolution", "any"};  // by Fusion

Fusion read_fusion(JsonReader& reader, const Json& json) {
  const std::string text = reader.text(json, "fuses_elementwise");
  for (size_t i = 0; i < std::size(kFusions); ++i)
    if (text == kFusions[i]) return static_cast<Fusion>(i);
  reader.refuse("fuses_elementwise", "is none of none, convolution and any");
  return Fusion::kNone;
}

Json curve_json(const EfficiencyCurve& curve) {
  Json json = Json::array();
  for (const EfficiencyPoint& point : curve)
    json.push_back({{"channels", point.channels}, {"efficiency", point.efficiency}});
  return json;
}

}  // namespace

Result<DeviceProfile> parse_profile(std::string_view text, const std::string& file) {
  JsonReader reader(file, "a device profile");
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) reader.refuse("", "is no JSON");
  DeviceProfile profile;
  if (reader.ok() && reader.object(json, "",
                                   {"schema_version",
                                    "name",
                                    "kind",
                                    "sources",
                                    "flops",
                                    "memory",
                                    "cores",
                                    "core_elements",
                                    "parallel_steps",
                                    "dispatch_seconds",
                                    "view_seconds",
                                    "copy_efficiency",
                                    "run_seconds",
                                    "overlap",
                                    "fuses_elementwise",
                                    "joins_in_place",
                                    "channels_last",
                                    "skip_normalization_seconds",
                                    "packs_group_weights",
                                    "convolution_blocks",
                                    "strided_groups",
                                    "efficiency"})) {
    if (json["schema_version"] != kSchemaVersion)
      reader.refuse("schema_version",
                    "this version of mts reads " + std::to_string(kSchemaVersion) + " only");
    profile.name = reader.text(json["name"], "name");
    const std::string kind = reader.text(json["kind"], "kind");
    if (kind != "cpu" && kind != "gpu") reader.refuse("kind", "is neither cpu nor gpu");
    profile.is_cpu = kind == "cpu";
    // The name is all that a stitched file says of its target.
    if (profile.is_cpu != profile.name.starts_with("cpu"))
      reader.refuse("name", "begins with \"cpu\" for a CPU, and for nothing else");
    if (reader.list(json["sources"], "sources"))
      for (size_t i = 0; i < json["sources"].size(); ++i)
        profile.sources.push_back(reader.text(json["sources"][i], JsonReader::at("sources", i)));
    read_flops(reader, json["flops"], profile);
    read_memory(reader, json["memory"], profile);
    profile.cores = reader.number(json["cores"], "cores");
    profile.parallel_steps = reader.number(json["parallel_steps"], "parallel_steps");
    profile.core_elements = reader.number(json["core_elements"], "core_elements");
    profile.dispatch_seconds = reader.number(json["dispatch_seconds"], "dispatch_seconds", true);
    profile.view_seconds = reader.number(json["view_seconds"], "view_seconds", true);
    profile.copy_efficiency = reader.number(json["copy_efficiency"], "copy_efficiency", false, 1);
    profile.run_seconds = reader.number(json["run_seconds"], "run_seconds", true);
    profile.overlap = reader.number(json["overlap"], "overlap", true, 1);
    profile.joins_in_place = reader.truth(json["joins_in_place"], "joins_in_place");
    profile.channels_last = reader.truth(json["channels_last"], "channels_last");
    profile.skip_normalization_seconds =
        reader.number(json["skip_normalization_seconds"], "skip_normalization_seconds", true);
    profile.packs_group_weights = reader.truth(json["packs_group_weights"], "packs_group_weights");
    profile.fusion = read_fusion(reader, json["fuses_elementwise"]);
    const Json& blocks = json["convolution_blocks"];
    if (reader.object(blocks, "convolution_blocks", {"inputs", "outputs"})) {
      profile.input_block = reader.number(blocks["inputs"], "convolution_blocks.inputs");
      profile.output_block = reader.number(blocks["outputs"], "convolution_blocks.outputs");
    }
    profile.strided_groups = reader.number(json["strided_groups"], "strided_groups", false, 1);
    const Json& curves = json["efficiency"];
    if (reader.object(curves, "efficiency", {"matmul", "convolution", "grouped_convolution", "recurrent"})) {
      profile.matmul = read_curve(reader, curves["matmul"], "efficiency.matmul");
      profile.convolution = read_curve(reader, curves["convolution"], "efficiency.convolution");
      profile.recurrent = read_curve(reader, curves["recurrent"], "efficiency.recurrent");
      profile.grouped_convolution =
          read_curve(reader, curves["grouped_convolution"], "efficiency.grouped_convolution");
    }
  }
  if (!reader.ok()) return tl::unexpected(reader.error());
  return profile;
}

std::string to_json(const DeviceProfile& profile) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["name"] = profile.name;
  json["kind"] = profile.is_cpu ? "cpu" : "gpu";
  json["sources"] = profile.sources;
  json["flops"] = Json::object();
  for (const auto& [dtype, rate] : profile.flops) json["flops"][std::string(name_of(dtype))] = rate;
  json["memory"] = Json::array();
  for (const CacheLevel& level : profile.caches)
    json["memory"].push_back({{"name", level.name},
                              {"bytes", level.bytes},
                              {kStreaming, level.bandwidth.streaming},
                              {kReuse, level.bandwidth.reuse}});
  json["memory"].push_back({{"name", "DRAM"},
                            {kStreaming, profile.memory_bandwidth.streaming},
                            {kReuse, profile.memory_bandwidth.reuse}});
  json["cores"] = profile.cores;
  json["core_elements"] = profile.core_elements;
  json["parallel_steps"] = profile.parallel_steps;
  json["dispatch_seconds"] = profile.dispatch_seconds;
  json["view_seconds"] = profile.view_seconds;
  json["copy_efficiency"] = profile.copy_efficiency;
  json["run_seconds"] = profile.run_seconds;
  json["overlap"] = profile.overlap;
  json["fuses_elementwise"] = kFusions[static_cast<size_t>(profile.fusion)];
  json["joins_in_place"] = profile.joins_in_place;
  json["channels_last"] = profile.channels_last;
  json["skip_normalization_seconds"] = profile.skip_normalization_seconds;
  json["packs_group_weights"] = profile.packs_group_weights;
  json["convolution_blocks"] = {{"inputs", profile.input_block}, {"outputs", profile.output_block}};
  json["strided_groups"] = profile.strided_groups;
  json["efficiency"] = {{"matmul", curve_json(profile.matmul)},
                        {"convolution", curve_json(profile.convolution)},
                        {"grouped_convolution", curve_json(profile.grouped_convolution)},
                        {"recurrent", curve_json(profile.recurrent)}};
  // What is not UTF-8 in a name is replaced rather than refused.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mts
