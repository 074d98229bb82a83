// Recurrent, quantised and attention operators.
#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> other_cases() {
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  std::vector<RuleCase> cases;
  const Slot lengths =
      Slot{.dims = "N", .kinds = "om-", .dtype = DType::kInt32, .low = 1, .high = 1, .fixed = nullptr};
  const auto recurrent = [&](const std::string& op, int64_t gates, size_t outputs) {
    const std::string g = std::to_string(gates * 3);
    RuleCase rule_case{
        .name = op,
        .op = op,
        .slots = {activation("S,N,4"), weight("1," + g + ",4").in(-1, 1), weight("1," + g + ",3").in(-1, 1),
                  optional(weight("1," + std::to_string(gates * 6))), lengths, optional(any("1,N,3"))},
        .attributes = {integer("hidden_size", 3)},
        .outputs = outputs,
        .ragged = "N"};
    rule_case.legal = {{"mOO---", "batch: concat(1) once once -> concat(2) concat(1)" +
                                      std::string(outputs == 3 ? " concat(1)" : "")},
                       {"mOOO-m", "batch: concat(1) once once once absent concat(1) -> concat(2) concat(1)" +
                                      std::string(outputs == 3 ? " concat(1)" : "")}};
    rule_case.refused = {"mMO---", "oOM---"};
    cases.push_back(rule_case);
    RuleCase both = rule_case;
    both.name += "Bidirectional";
    both.slots = {activation("S,N,4"),
                  weight("2," + g + ",4").in(-1, 1),
                  weight("2," + g + ",3").in(-1, 1),
                  absent(),
                  absent(),
                  optional(any("2,N,3"))};
    both.attributes.push_back({"direction", std::string("bidirectional"), {}});
    both.legal = {};
    both.refused = {};
    cases.push_back(both);
  };
  recurrent("LSTM", 4, 3);
  recurrent("GRU", 3, 2);
  recurrent("RNN", 1, 2);
  cases.push_back({.name = "LSTMBatchFirst",
                   .op = "LSTM",
                   .slots = {activation("N,S,4"), weight("1,12,4"), weight("1,12,3"), absent(), absent(),
                             activation("N,1,3"), activation("N,1,3"), optional(weight("1,9"))},
                   .attributes = {integer("hidden_size", 3), integer("layout", 1)},
                   .outputs = 3,
                   .ragged = "N"});

  const Slot scale = any("").in(0.05, 0.2), zero = any("").as(DType::kUint8).in(100, 140);
  cases.push_back({.name = "QuantizeLinear",
                   .op = "QuantizeLinear",
                   .slots = {activation("N,4,H"), scale, optional(zero)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"},
                             {"mMM", "group: stacked(0) stacked(0) stacked(0) -> stacked(0)"},
                             {"mMO", "group: stacked(0) stacked(0) once -> stacked(0)"},
                             {"mOM", "group: stacked(0) once stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "QuantizeLinearPerChannel",
                   .op = "QuantizeLinear",
                   .slots = {activation("N,4,H"), any("4").in(0.05, 0.2),
                             optional(any("4").as(DType::kInt8).in(-20, 20))},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"},
                             {"mMM", "group: concat(1) concat(0) concat(0) -> concat(1)"},
                             {"mMO", "group: concat(1) concat(0) once -> concat(1)"},
                             {"mOM", "group: concat(1) once concat(0) -> concat(1)"}}});
  cases.push_back({.name = "QuantizeLinearOpset10",
                   .op = "QuantizeLinear",
                   .slots = {activation("N,4,H"), scale, optional(zero)},
                   .opset = 10,
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"}},
                   .refused = {"mMM"}});
  cases.push_back({.name = "DequantizeLinear",
                   .op = "DequantizeLinear",
                   .slots = {any("N,4,H").as(DType::kUint8).in(0, 255), scale, optional(zero)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"},
                             {"MOO", "batch: concat(0) once once -> concat(0)"}}});
  cases.push_back({.name = "DequantizeLinearLastAxis",
                   .op = "DequantizeLinear",
                   .slots = {any("N,4").as(DType::kInt8).in(-90, 90), any("4").in(0.05, 0.2),
                             optional(any("4").as(DType::kInt8).in(-20, 20))},
                   .attributes = {integer("axis", -1)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"},
                             {"mM-", "group: concat(1) concat(0) -> concat(1)"}}});
  const auto bytes = [](std::string dims, std::string kinds) {
    return Slot{.dims = std::move(dims),
                .kinds = std::move(kinds),
                .dtype = DType::kUint8,
                .low = 0,
                .high = 255,
                .fixed = nullptr};
  };
  const auto scalar = [](double low, double high) {
    return Slot{.dims = "", .kinds = "O", .low = low, .high = high, .fixed = nullptr};
  };
  cases.push_back(
      {.name = "QLinearConv",
       .op = "QLinearConv",
       .slots =
           {bytes("N,2,H,W", "om"), scalar(0.01, 0.02), bytes("", "OM"), bytes("K,2,3,3", "OM"),
            scalar(0.01, 0.02), bytes("", "O"), scalar(0.5, 1), bytes("", "O"),
            optional(Slot{
                .dims = "K", .kinds = "O", .dtype = DType::kInt32, .low = -9, .high = 9, .fixed = nullptr})},
       .exact = true,
       .ragged = "N",
       .legal = {{"mOOOOOOO-", "batch: concat(0) once once once once once once once -> concat(0)"}}});
  cases.push_back(
      {.name = "QLinearMatMul",
       .op = "QLinearMatMul",
       .slots = {bytes("N,S,4", "om"), scalar(0.01, 0.02), bytes("", "O"), bytes("4,3", "OM"),
                 scalar(0.01, 0.02), bytes("", "O"), scalar(0.5, 1), bytes("", "O")},
       .exact = true,
       .ragged = "N",
       .legal = {{"mOOOOOOO", "batch: concat(0) once once once once once once once -> concat(0)"}}});
  cases.push_back({.name = "ConvInteger",
                   .op = "ConvInteger",
                   .slots = {bytes("N,2,H,W", "om"), bytes("K,2,3,3", "OM"), optional(bytes("", "O")),
                             optional(bytes("", "O"))},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO--", "batch: concat(0) once -> concat(0)"}}});
  cases.push_back({.name = "MatMulInteger",
                   .op = "MatMulInteger",
                   .slots = {bytes("N,S,4", "om"), bytes("4,3", "OM"), optional(bytes("", "O")),
                             optional(bytes("", "O"))},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mOO-", "batch: concat(0) once once -> concat(0)"}}});
  cases.push_back({.name = "MatMulIntegerOfBatches",
                   .op = "MatMulInteger",
                   .slots = {bytes("N,S,4", "m"), bytes("N,4,3", "oO")},
                   .exact = true,
                   .refuses_all = true});
  cases.push_back({.name = "MatMulIntegerZeroPerRow",
                   .op = "MatMulInteger",
                   .slots = {bytes("S,4", "m"), bytes("4,3", "O"), bytes("S", "O")},
                   .exact = true,
                   .refuses_all = true});

  cases.push_back(
      {.name = "Attention",
       .op = "Attention",
       .slots = {activation("N,2,S,4"), activation("N,2,T,4"), activation("N,2,T,4"), optional(any("S,T"))},
       .opset = 23,
       .ragged = "N",
       .legal = {{"mmm-", "batch: concat(0) concat(0) concat(0) -> concat(0)"},
                 {"mmmO", "batch: concat(0) concat(0) concat(0) once -> concat(0)"}}});
  cases.push_back(
      {.name = "AttentionMaskPerBatch",
       .op = "Attention",
       .slots = {activation("N,2,S,4"), activation("N,2,T,4"), activation("N,2,T,4"), any("N,1,S,T")},
       .opset = 23,
       .ragged = "N",
       .legal = {{"mmmm", "batch: concat(0) concat(0) concat(0) concat(0) -> concat(0)"}}});
  cases.push_back(
      {.name = "AttentionMaskBroadcast",
       .op = "Attention",
       .slots = {activation("N,2,S,4"), activation("N,2,T,4"), activation("N,2,T,4"), any("1,2,S,T")},
       .opset = 23,
       .ragged = "N",
       .legal = {{"mmmO", "batch: concat(0) concat(0) concat(0) once -> concat(0)"}}});
  cases.push_back(
      {.name = "AttentionMaskOfHeads",
       .op = "Attention",
       .slots = {activation("N,2,S,4"), activation("N,2,T,4"), activation("N,2,T,4"), any("2,S,T")},
       .opset = 23,
       .legal = {{"mmmO", "batch: concat(0) concat(0) concat(0) once -> concat(0)"}}});
  cases.push_back(
      {.name = "AttentionRankThree",
       .op = "Attention",
       .slots = {activation("N,S,8"), activation("N,T,8"), activation("N,T,8")},
       .attributes = {integer("q_num_heads", 2), integer("kv_num_heads", 2), integer("is_causal", 1)},
       .opset = 23,
       .ragged = "N",
       .legal = {{"mmm", "batch: concat(0) concat(0) concat(0) -> concat(0)"}}});
  cases.push_back(
      {.name = "RotaryEmbedding",
       .op = "RotaryEmbedding",
       .slots =
           {activation("N,2,S,4"), any("5,2"), any("5,2"),
            Slot{
                .dims = "N,S", .kinds = "om", .dtype = DType::kInt64, .low = 0, .high = 4, .fixed = nullptr}},
       .opset = 23,
       .ragged = "N",
       .legal = {{"mOOm", "batch: concat(0) once once concat(0) -> concat(0)"}}});
  cases.push_back({.name = "RotaryEmbeddingInOrder",
                   .op = "RotaryEmbedding",
                   .slots = {activation("N,2,S,4"), any("N,S,2"), any("N,S,2")},
                   .opset = 23,
                   .ragged = "N",
                   .legal = {{"mmm", "batch: concat(0) concat(0) concat(0) -> concat(0)"}}});
  cases.push_back({.name = "GridSample",
                   .op = "GridSample",
                   .slots = {activation("N,2,H,W"), any("N,3,2,2")},
                   .opset = 20,
                   .ragged = "N",
                   .legal = {{"mm", "batch: concat(0) concat(0) -> concat(0)"}},
                   .refused = {"om"}});
  cases.push_back({.name = "DeformConv",
                   .op = "DeformConv",
                   .slots = {activation("N,2,4,4"), weight("3,2,2,2"), activation("N,8,3,3"),
                             optional(weight("3")), optional(activation("N,4,3,3"))},
                   .opset = 19,
                   .ragged = "N",
                   .legal = {{"mOmOm", "batch: concat(0) once concat(0) once concat(0) -> concat(0)"},
                             {"mOm--", "batch: concat(0) once concat(0) -> concat(0)"}},
                   .refused = {"mMm--"}});
  const auto length = [](double value) {
    return Slot{
        .dims = "", .kinds = "O", .dtype = DType::kInt64, .low = value, .high = value, .fixed = nullptr};
  };
  cases.push_back({.name = "STFT",
                   .op = "STFT",
                   .slots = {activation("N,12,1"), length(2), weight("4")},
                   .attributes = {integer("onesided", 1)},
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"}},
                   .refused = {"mOM"}});
  return cases;
}

}  // namespace mts::testing
