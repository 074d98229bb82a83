#include <mts/bench.h>

#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mts {
namespace {

BenchReport example() {
  BenchReport report;
  report.context = {.device = "cpu",
                    .cpu = "AMD EPYC 9654 96-Core Processor",
                    .cores = 8,
                    .threads = 2,
                    .date = "",
                    .target = "cpu-avx512",
                    .versions = {{"mts", "0.1.0"}, {"oneDNN", "3.2.0"}, {"compiler", "g++ 12.2.0"}}};
  const auto row = [](std::string name, double p50, std::optional<bool> verified,
                      std::optional<double> speedup) {
    BenchRow r{.name = std::move(name), .verified = verified, .iterations = 100};
    r.latency_ms = {
        .p50 = p50, .p90 = p50 * 1.1, .p99 = p50 * 1.25, .min = p50 * 0.9, .mean = p50 * 1.02, .cv = 0.04};
    r.throughput = 8000 / p50;
    r.memory = {.weights = 11'000'000, .arena = 700'000, .workspace = 4096};
    r.speedup_vs_sequential = speedup;
    return r;
  };
  report.rows = {row("fused", 3.987, true, 3.09), row("sequential", 12.34, true, 1.0),
                 row("concat", 11.2, false, std::nullopt),
                 row("netfuse", 0.0567, std::nullopt, std::nullopt)};
  BenchRow broken{.name = "extra", .error = "the executor has no \"Foo\""};
  report.rows.push_back(broken);
  return report;
}

TEST(Report, JsonHasTheAgreedFields) {
  const auto json = nlohmann::json::parse(to_json(example()));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["context"]["device"], "cpu");
  EXPECT_EQ(json["context"]["threads"], 2);
  EXPECT_EQ(json["context"]["versions"]["oneDNN"], "3.2.0");
  const auto& fused = json["rows"][0];
  EXPECT_EQ(fused["name"], "fused");
  EXPECT_EQ(fused["verified"], true);
  for (const char* field : {"p50", "p90", "p99", "min", "mean", "cv"})
    EXPECT_TRUE(fused["latency_ms"][field].is_number()) << field;
  EXPECT_EQ(fused["memory"]["peak"], 11'704'096);
  for (const char* field : {"weights", "arena", "arena_lower_bound", "workspace"})
    EXPECT_TRUE(fused["memory"][field].is_number_unsigned()) << field;
  EXPECT_TRUE(fused["throughput"].is_number());
  EXPECT_DOUBLE_EQ(fused["speedup_vs_sequential"].get<double>(), 3.09);
  EXPECT_EQ(json["rows"][2]["verified"], false);
  EXPECT_TRUE(json["rows"][2]["speedup_vs_sequential"].is_null());
  EXPECT_TRUE(json["rows"][3]["verified"].is_null());
  EXPECT_TRUE(json["rows"][3]["speedup_vs_sequential"].is_null());
  EXPECT_EQ(json["rows"][4]["error"], "the executor has no \"Foo\"");
}

TEST(Report, ShowsTheRooflineAndThePrecision) {
  BenchReport report = example();
  report.context.precision = "float16";
  report.context.tolerance = 5e-3;
  report.rows.resize(1);
  report.rows[0].roofline =
      Roofline{"h200", 1.2, 0.301, {{"Conv a/" + std::string(60, 'x'), 0.9, 0.25}, {"MatMul fc", 0.1, 0.2}}};
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["context"]["precision"], "float16");
  EXPECT_EQ(json["context"]["tolerance"], 5e-3);
  const auto& roofline = json["rows"][0]["roofline"];
  EXPECT_EQ(roofline["profile"], "h200");
  EXPECT_EQ(roofline["floor_ms"], 1.2);
  EXPECT_EQ(roofline["share"], 0.301);
  EXPECT_EQ(roofline["losses"][0]["ms"], 0.9);
  EXPECT_EQ(roofline["losses"][0]["floor_ms"], 0.25);
  EXPECT_EQ(roofline["losses"][0]["lost_ms"], 0.65);
  EXPECT_EQ(roofline["losses"][1]["lost_ms"], 0.0);
  EXPECT_EQ(to_table(report),
            "cpu, AMD EPYC 9654 96-Core Processor, 2 of 8 cores, mts 0.1.0, oneDNN 3.2.0\n"
            "compiler g++ 12.2.0\n"
            "computed in float16, verified against float32 within 0.005\n"
            "\n"
            "                          latency, ms         models    memory      speed\n"
            "                  p50     p90     p99    cv       /s      peak    vs seq.\n"
            "> fused          3.99    4.39    4.98    4%     2007  11.2 MiB      3.09x ######\n"
            "\n"
            "  fused: 30 % of the roofline's floor, 1.20 ms (h200)\n"
            "  lost, ms      of   floor  step\n"
            "     0.650   0.900   0.250  Conv a/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\n"
            "     0.000   0.100   0.200  MatMul fc\n");
}

TEST(Report, JsonSurvivesNamesThatAreNotUtf8) {
  BenchReport report = example();
  report.rows[4].error = "file \xff\xfe";
  EXPECT_NO_THROW(nlohmann::json::parse(to_json(report)));
}

TEST(Report, TableIsStable) {
  EXPECT_EQ(to_table(example()),
            "cpu, AMD EPYC 9654 96-Core Processor, 2 of 8 cores, mts 0.1.0, oneDNN 3.2.0\n"
            "compiler g++ 12.2.0\n"
            "\n"
            "                          latency, ms         models    memory      speed\n"
            "                  p50     p90     p99    cv       /s      peak    vs seq.\n"
            "> fused          3.99    4.39    4.98    4%     2007  11.2 MiB      3.09x ######\n"
            "  sequential     12.3    13.6    15.4    4%      648  11.2 MiB      1.00x ##\n"
            "  concat         11.2    12.3    14.0    4%      714  11.2 MiB      WRONG\n"
            "  netfuse       0.057   0.062   0.071    4%     141k  11.2 MiB unverified\n"
            "  extra       the executor has no \"Foo\"\n");
}

TEST(Report, TableFitsEightyColumns) {
  std::istringstream lines(to_table(example()));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST(Report, CsvHasOneLineARow) {
  std::istringstream lines(to_csv(example()));
  std::string line;
  int count = 0;
  std::getline(lines, line);
  const auto columns = std::count(line.begin(), line.end(), ',');
  while (std::getline(lines, line)) {
    ++count;
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), columns) << line;
  }
  EXPECT_EQ(count, 5);
}

}  // namespace
}  // namespace mts
