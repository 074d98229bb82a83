#include <mts/bench.h>

#include <nlohmann/json.hpp>

namespace mts {
namespace {

using Json = nlohmann::ordered_json;

Json to_object(const BenchContext& context) {
  Json json;
  json["device"] = context.device;
  json["cpu"] = context.cpu;
  json["cores"] = context.cores;
  json["threads"] = context.threads;
  if (!context.target.empty()) json["target"] = context.target;
  if (!context.precision.empty()) {
    json["precision"] = context.precision;
    json["tolerance"] = context.tolerance;
  }
  if (!context.date.empty()) json["date"] = context.date;
  json["versions"] = Json::object();
  for (const auto& [name, version] : context.versions) json["versions"][name] = version;
  return json;
}

Json to_object(const LatencyStatistics& l) {
  return {{"p50", l.p50}, {"p90", l.p90}, {"p99", l.p99}, {"min", l.min}, {"mean", l.mean}, {"cv", l.cv}};
}

Json to_object(const DeviceMeasures& device) {
  Json json;
  json["wall_ms"] = to_object(device.wall);
  json["queued_ms"] = device.queued_ms;
  json["upload_ms"] = device.upload_ms;
  json["download_ms"] = device.download_ms;
  json["cold_ms"] = device.cold ? to_object(*device.cold) : Json(nullptr);
  json["bytes_in_use"] = device.bytes_in_use;
  json["host_steps"] = device.host_steps;
  return json;
}

Json to_object(const Roofline& roofline) {
  Json json = {{"profile", roofline.profile}, {"floor_ms", roofline.floor_ms}, {"share", roofline.share}};
  json["losses"] = Json::array();
  for (const Roofline::Loss& loss : roofline.losses) {
    json["losses"].push_back({{"step", loss.step},
                              {"ms", loss.milliseconds},
                              {"floor_ms", loss.floor_ms},
                              {"lost_ms", loss.lost_ms()}});
  }
  return json;
}

Json to_object(const BenchRow& row) {
  Json json;
  json["name"] = row.name;
  json["verified"] = row.verified ? Json(*row.verified) : Json(nullptr);
  if (!row.error.empty()) {
    json["error"] = row.error;
    json["speedup_vs_sequential"] = nullptr;
    return json;
  }
  json["iterations"] = row.iterations;
  json["latency_ms"] = to_object(row.latency_ms);
  json["throughput"] = row.throughput;
  json["memory"] = {{"weights", row.memory.weights},
                    {"arena", row.memory.arena},
                    {"arena_lower_bound", row.memory.arena_lower_bound},
                    {"workspace", row.memory.workspace},
                    {"peak", row.memory.peak()}};
  json["speedup_vs_sequential"] =
      row.speedup_vs_sequential ? Json(*row.speedup_vs_sequential) : Json(nullptr);
  if (row.device) json["device"] = to_object(*row.device);
  if (row.roofline) json["roofline"] = to_object(*row.roofline);
  return json;
}

}  // namespace

std::string to_json(const BenchReport& report) {
  Json json;
  json["schema_version"] = BenchReport::kSchemaVersion;
  json["context"] = to_object(report.context);
  json["rows"] = Json::array();
  for (const BenchRow& row : report.rows) json["rows"].push_back(to_object(row));
  // File and model names may hold any bytes: what is not UTF-8 is replaced rather than refused.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mts
