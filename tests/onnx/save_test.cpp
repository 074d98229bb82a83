// Files on disk: streaming, external data, temporary files, determinism, sizes over 2 GB.
#include "tests/onnx/compare.h"

#include <mts/model_io.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <sys/resource.h>
#include <unistd.h>

namespace mts {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using External = SaveOptions::External;

class Save : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("mts_save_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::string content(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path folder_;
};

std::string pattern(size_t bytes, int seed) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i)
    text[i] = static_cast<char>((i * 31 + static_cast<size_t>(seed) * 17) % 127);
  return text;
}

// Large and small weights, as initializers, in a subgraph and in an attribute; one is computed when it is
// written.
Model sample() {
  auto model = parse_text(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (bool c, float[N,64] x) => (float[N,64] y) <float[1] a = {1}, float[1] b = {1}, float[1] s = {3}> {
      k = Constant<value = float[1] {0}>()
      t = MatMul(x, a)
      u = Gemm(t, b, s)
      v = Add(u, k)
      y = If(c) <then_branch = t1 () => (float[N,64] p) <float[1] w = {2}> { p = Mul(v, w) },
                 else_branch = t2 () => (float[N,64] q) { q = Identity(v) }>
    })");
  EXPECT_TRUE(model) << model.error().to_string();
  const auto weight = [](Dims dims, int seed) {
    const auto bytes = static_cast<size_t>(element_count(dims)) * 4;
    return Weight::from_bytes(DType::kFloat32, std::move(dims), own_bytes(pattern(bytes, seed)));
  };
  const auto set = [](Graph& graph, const std::string& name, WeightPtr w) {
    for (size_t i = 0; i < graph.value_count(); ++i) {
      Value& value = graph.value(static_cast<ValueId>(i));
      if (value.name != name || !value.is_constant()) continue;
      value.type.shape->clear();
      for (const int64_t d : w->dims()) value.type.shape->push_back(Dim::known(d));
      value.weight = std::move(w);
      return;
    }
    ADD_FAILURE() << name;
  };
  Graph& graph = model->graph;
  set(graph, "a", weight({64, 64}, 1));
  set(graph, "b", Weight::transpose(Weight::concat({weight({32, 300}, 2), weight({32, 300}, 3)}, 0), {1, 0}));
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op_type == "Constant") graph.node(id).set("value", weight({64, 5}, 4));
    if (graph.node(id).op_type == "If") set(*graph.node(id).subgraphs()[0], "w", weight({1, 64, 20}, 5));
  }
  return std::move(*model);
}

TEST_F(Save, InlineByDefault) {
  const Model model = sample();
  auto saved = save_model(model, path("m.onnx"));
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_EQ(files(), std::vector<std::string>{"m.onnx"});
  EXPECT_EQ(saved->file_bytes, fs::file_size(path("m.onnx")));
  EXPECT_EQ(saved->external_bytes, 0U);
  EXPECT_EQ(saved->weight_bytes, 4U * (64 * 64 + 64 * 300 + 1 + 64 * 5 + 64 * 20));
  EXPECT_EQ(saved->sha256, *sha256_of_file(path("m.onnx")));
  EXPECT_EQ(content(path("m.onnx")), *to_bytes(model));
  auto again = load_model(path("m.onnx"), model.name);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(test::difference(model, *again), "");
  EXPECT_TRUE(check_file(path("m.onnx")));
}

TEST_F(Save, WithoutADigestTheSameBytes) {
  const auto saved = save_model(sample(), path("m.onnx"), {.digest = false});
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_EQ(saved->sha256, "");
  EXPECT_EQ(content(path("m.onnx")), *to_bytes(sample()));
}

TEST_F(Save, ProtobufReadsTheSameBytes) {
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(*to_bytes(sample())));
  ASSERT_EQ(proto.graph().initializer_size(), 3);
  EXPECT_EQ(proto.graph().initializer(0).raw_data(), pattern(64 * 64 * 4, 1));
  EXPECT_EQ(proto.graph().initializer(0).external_data_size(), 0);
  EXPECT_EQ(proto.graph().node(0).attribute(0).t().raw_data(), pattern(64 * 5 * 4, 4));
}

TEST_F(Save, ExternalWhenAskedFor) {
  const Model model = sample();
  auto saved = save_model(model, path("m.onnx"), {.external = External::kAlways});
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_EQ(files(), (std::vector<std::string>{"m.onnx", "m.onnx.data"}));
  EXPECT_EQ(saved->external_bytes, fs::file_size(path("m.onnx.data")));
  EXPECT_LT(saved->file_bytes, 3000U);
  auto again = load_model(path("m.onnx"), model.name);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(test::difference(model, *again), "");
  auto checked = check_file(path("m.onnx"));
  EXPECT_TRUE(checked) << checked.error().to_string();
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(content(path("m.onnx"))));
  for (const auto& tensor : proto.graph().initializer())
    for (const auto& entry : tensor.external_data()) {
      EXPECT_TRUE(entry.key() != "location" || entry.value() == "m.onnx.data");
      EXPECT_TRUE(entry.key() != "offset" || std::stoull(entry.value()) % 64 == 0);
    }
}

TEST_F(Save, ExternalOverTheThreshold) {
  const Model model = sample();
  const uint64_t size = to_bytes(model)->size();
  auto below = save_model(model, path("below.onnx"), {.external_threshold = size + 100});
  ASSERT_TRUE(below);
  EXPECT_EQ(below->external_bytes, 0U);
  auto above = save_model(model, path("above.onnx"), {.external_threshold = size / 2});
  ASSERT_TRUE(above);
  EXPECT_GT(above->external_bytes, 0U);
  auto never =
      save_model(model, path("never.onnx"), {.external = External::kNever, .external_threshold = 10});
  ASSERT_TRUE(never);
  EXPECT_EQ(never->external_bytes, 0U);
}

TEST_F(Save, ByteIdenticalFromRunToRun) {
  ASSERT_TRUE(save_model(sample(), path("a.onnx"), {.external = External::kAlways}));
  const std::string model = content(path("a.onnx"));
  const std::string data = content(path("a.onnx.data"));
  ASSERT_TRUE(save_model(sample(), path("a.onnx"), {.external = External::kAlways}));
  EXPECT_EQ(content(path("a.onnx")), model);
  EXPECT_EQ(content(path("a.onnx.data")), data);
}

TEST_F(Save, OverwritesTheFileThatItReads) {
  ASSERT_TRUE(save_model(sample(), path("m.onnx")));
  auto model = load_model(path("m.onnx"), "m");
  ASSERT_TRUE(model);
  const std::string before = content(path("m.onnx"));
  ASSERT_TRUE(save_model(*model, path("m.onnx")));
  EXPECT_EQ(content(path("m.onnx")), before);
}

TEST_F(Save, NothingIsLeftBehindOnFailure) {
  const Model model = sample();
  EXPECT_EQ(save_model(model, path("missing/m.onnx")).error().code, ErrorCode::kIo);
  fs::create_directory(path("folder.onnx"));
  EXPECT_EQ(save_model(model, path("folder.onnx")).error().code, ErrorCode::kIo);
  EXPECT_EQ(save_model(model, path("folder.onnx"), {.external = External::kAlways}).error().code,
            ErrorCode::kIo);
  fs::create_directory(path("m.onnx.data"));
  auto blocked = save_model(model, path("m.onnx"), {.external = External::kAlways});
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code, ErrorCode::kIo);
  EXPECT_THAT(blocked.error().to_string(), HasSubstr("m.onnx.data"));
  EXPECT_EQ(files(), (std::vector<std::string>{"folder.onnx", "m.onnx.data"}));
}

// A limit on the file size stands in for a full disk.
TEST_F(Save, FailingWritesAreErrors) {
  const Model model = sample();
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { .rlim_cur = 20'000, .rlim_max = before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  auto saved = save_model(model, path("m.onnx"));
  auto external = save_model(model, path("e.onnx"), {.external = External::kAlways});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, ErrorCode::kIo);
  ASSERT_FALSE(external);
  EXPECT_EQ(external.error().code, ErrorCode::kIo);
  EXPECT_EQ(files(), std::vector<std::string>{});
}

TEST_F(Save, UnusedConstantsAreNotWritten) {
  Model model = sample();
  const uint64_t before = save_model(model, path("m.onnx"))->weight_bytes;
  model.graph.add_constant("dead",
                           Weight::from_bytes(DType::kFloat32, {1000}, own_bytes(std::string(4000, 'x'))));
  EXPECT_EQ(save_model(model, path("m.onnx"))->weight_bytes, before);
}

TEST_F(Save, NamesAreMadeUnique) {
  auto model = parse_text(R"(<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) {
      a = Relu(x) b = Neg(a) c = Abs(b) d = Exp(c) y = Sin(d) })");
  ASSERT_TRUE(model);
  Graph& graph = model->graph;
  const auto output = [&](size_t i) -> Value& {
    return graph.value(graph.node(graph.order()[i]).outputs[0]);
  };
  output(0).name = "y";  // of the graph output
  output(1).name = "";
  output(2).name = "x";  // of the graph input
  output(3).name = "Neg_0";
  auto bytes = to_bytes(*model);
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  EXPECT_EQ(*bytes, *to_bytes(*model));
  auto again = from_bytes(*bytes, "m");
  ASSERT_TRUE(again) << again.error().to_string();
  ASSERT_TRUE(verify_ir(*again));
  std::vector<std::string> names;
  for (const NodeId id : again->graph.order())
    names.push_back(again->graph.value(again->graph.node(id).outputs[0]).name);
  EXPECT_EQ(names, (std::vector<std::string>{"y_0", "Neg_1", "x_0", "Neg_0", "y"}));
}

TEST_F(Save, InterfaceNamesAreNotTouched) {
  auto model = parse_text(
      R"(<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) { y = Relu(x) })");
  ASSERT_TRUE(model);
  model->graph.value(model->graph.outputs()[0]).name = "x";
  auto bytes = to_bytes(*model);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ErrorCode::kInternal);
}

// External data that must not be followed.

class Escape : public Save {
 protected:
  // The sample with external data, its locations replaced.
  Result<Model> load_with(const std::string& key, const std::string& value) {
    EXPECT_TRUE(save_model(sample(), path("m.onnx"), {.external = External::kAlways}));
    onnx::ModelProto proto;
    EXPECT_TRUE(proto.ParseFromString(content(path("m.onnx"))));
    auto& tensor = *proto.mutable_graph()->mutable_initializer(0);
    bool found = false;
    for (auto& entry : *tensor.mutable_external_data())
      if (entry.key() == key) {
        entry.set_value(value);
        found = true;
      }
    EXPECT_TRUE(found);
    std::ofstream(path("m.onnx"), std::ios::binary) << proto.SerializeAsString();
    return load_model(path("m.onnx"), "m");
  }
  void expect_refused(const Result<Model>& model, const std::string& words) {
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kModel);
    EXPECT_THAT(model.error().to_string(), HasSubstr("m.onnx"));
    EXPECT_THAT(model.error().to_string(), HasSubstr(words));
  }
};

TEST_F(Escape, Refused) {
  expect_refused(load_with("location", "/etc/passwd"), "absolute");
  expect_refused(load_with("location", "../m.onnx.data"), "outside");
  expect_refused(load_with("location", "missing.data"), "missing.data");
  expect_refused(load_with("location", ""), "location");
  expect_refused(load_with("offset", "-1"), "offset");
  expect_refused(load_with("offset", "99999999999999999999999"), "offset");
  expect_refused(load_with("offset", "18446744073709551615"), "beyond the end");
  expect_refused(load_with("length", "7"), "7 bytes");
  expect_refused(load_with("length", "abc"), "length");
  fs::create_directory(path("sub"));
  expect_refused(load_with("location", "sub"), "sub");
}

TEST_F(Escape, Links) {
  ASSERT_TRUE(save_model(sample(), path("m.onnx"), {.external = External::kAlways}));
  fs::create_symlink(path("m.onnx.data"), path("link.data"));
  expect_refused(load_with("location", "link.data"), "link");
  fs::create_directory_symlink(testing::TempDir(), path("out"));
  std::ofstream(fs::path(testing::TempDir()) / "mts_outside.data") << "x";
  expect_refused(load_with("location", "out/mts_outside.data"), "outside");
  fs::remove(fs::path(testing::TempDir()) / "outside");
}

TEST_F(Escape, TruncatedData) {
  ASSERT_TRUE(save_model(sample(), path("m.onnx"), {.external = External::kAlways}));
  fs::resize_file(path("m.onnx.data"), 1000);
  expect_refused(load_model(path("m.onnx"), "m"), "beyond the end");
}

// What is kept serialised must not depend on files beside the model that was read.
TEST_F(Save, SparseTensorsWithExternalDataBecomeInline) {
  auto text = parse_text(
      R"(<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[4] y) { k = Constant<value_int = 1>() y = Relu(x) })");
  ASSERT_TRUE(text);
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(*to_bytes(*text)));
  auto& attribute = *proto.mutable_graph()->mutable_node(0)->mutable_attribute(0);
  attribute.Clear();
  attribute.set_name("sparse_value");
  attribute.set_type(onnx::AttributeProto::SPARSE_TENSOR);
  auto& sparse = *attribute.mutable_sparse_tensor();
  sparse.add_dims(4);
  sparse.mutable_indices()->set_data_type(7);
  sparse.mutable_indices()->add_dims(1);
  sparse.mutable_indices()->add_int64_data(2);
  auto& values = *sparse.mutable_values();
  values.set_data_type(1);
  values.add_dims(1);
  values.set_data_location(onnx::TensorProto::EXTERNAL);
  auto& entry = *values.add_external_data();
  entry.set_key("location");
  entry.set_value("sparse.data");
  std::ofstream(path("sparse.onnx"), std::ios::binary) << proto.SerializeAsString();
  std::ofstream(path("sparse.data"), std::ios::binary) << "abcd";
  auto model = load_model(path("sparse.onnx"), "m");
  ASSERT_TRUE(model) << model.error().to_string();
  onnx::ModelProto written;
  ASSERT_TRUE(written.ParseFromString(*to_bytes(*model)));
  const auto& kept = written.graph().node(0).attribute(0).sparse_tensor().values();
  EXPECT_EQ(kept.raw_data(), "abcd");
  EXPECT_EQ(kept.external_data_size(), 0);
}

TEST_F(Save, LengthMayBeMissing) {
  ASSERT_TRUE(save_model(sample(), path("m.onnx"), {.external = External::kAlways}));
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(content(path("m.onnx"))));
  for (auto& tensor : *proto.mutable_graph()->mutable_initializer())
    if (tensor.external_data_size() > 0) tensor.mutable_external_data()->RemoveLast();
  std::ofstream(path("m.onnx"), std::ios::binary) << proto.SerializeAsString();
  auto model = load_model(path("m.onnx"), sample().name);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(test::difference(sample(), *model), "");
}

TEST_F(Save, DataInASubfolder) {
  ASSERT_TRUE(save_model(sample(), path("m.onnx"), {.external = External::kAlways}));
  fs::create_directory(path("weights"));
  fs::rename(path("m.onnx.data"), path("weights/w.bin"));
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(content(path("m.onnx"))));
  const std::string bytes = proto.SerializeAsString();
  std::string moved = bytes;
  // Both names are strings of the message: rewriting them by hand would need the lengths, protobuf does it.
  const auto relocate = [](auto& self, onnx::GraphProto& graph) -> void {
    const auto one = [](onnx::TensorProto& t) {
      for (auto& entry : *t.mutable_external_data())
        if (entry.key() == "location") entry.set_value("weights/w.bin");
    };
    for (auto& t : *graph.mutable_initializer()) one(t);
    for (auto& n : *graph.mutable_node())
      for (auto& a : *n.mutable_attribute()) {
        if (a.has_t()) one(*a.mutable_t());
        if (a.has_g()) self(self, *a.mutable_g());
      }
  };
  relocate(relocate, *proto.mutable_graph());
  std::ofstream(path("m.onnx"), std::ios::binary) << proto.SerializeAsString();
  auto model = load_model(path("m.onnx"), sample().name);
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(test::difference(sample(), *model), "");
}

// Models over 2 GB, in sparse files: nothing of their weights is read or written.

uint64_t peak_memory() {  // of this process, bytes; mapped files do not count as long as they are not touched
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word)
    if (word == "RssAnon:") {
      uint64_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  return 0;
}

TEST_F(Save, ThreeGigabytesOfExternalData) {
  const uint64_t elements = 750'000'000;
  onnx::ModelProto proto;
  auto text = parse_text(
      R"(<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[M] y) <float[1] w = {1}> { y = Add(x, w) })");
  ASSERT_TRUE(proto.ParseFromString(*to_bytes(*text)));
  auto& tensor = *proto.mutable_graph()->mutable_initializer(0);
  tensor.clear_raw_data();
  tensor.set_dims(0, static_cast<int64_t>(elements));
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  auto& entry = *tensor.add_external_data();
  entry.set_key("location");
  entry.set_value("big.data");
  std::ofstream(path("big.onnx"), std::ios::binary) << proto.SerializeAsString();
  std::ofstream(path("big.data"));
  fs::resize_file(path("big.data"), elements * 4);
  auto model = load_model(path("big.onnx"), "m");
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->graph.value(model->graph.node(model->graph.order()[0]).inputs[1]).weight->byte_size(),
            elements * 4);
  EXPECT_LT(peak_memory(), 500U << 20);
  auto bytes = to_bytes(*model);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ErrorCode::kUsage);
  auto never = save_model(*model, path("out.onnx"), {.external = External::kNever});
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code, ErrorCode::kUsage);
  EXPECT_THAT(never.error().to_string(), HasSubstr("2 GB"));
}

TEST_F(Save, ThreeGigabytesInline) {
  // A ModelProto whose first initializer has 2.5 GB of raw data and whose second one lies behind it.
  const uint64_t bytes = 2'500'000'000;
  const auto varint = [](uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
    return out;
  };
  onnx::TensorProto head;
  head.set_name("w");
  head.set_data_type(1);
  head.add_dims(static_cast<int64_t>(bytes / 4));
  const std::string tensor_head = head.SerializeAsString() + "\x4a" + varint(bytes);  // raw_data follows
  onnx::ModelProto rest;
  auto text = parse_text(
      R"(<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[M] y) <float[2] v = {1, 2}> {
    t = Add(x, w) y = Add(t, v) })");
  ASSERT_FALSE(text);  // w is not there yet
  text = parse_text(
      R"(<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[M] y) <float[2] v = {1, 2}> {
    t = Add(x, v) y = Add(t, v) })");
  ASSERT_TRUE(text);
  ASSERT_TRUE(rest.ParseFromString(*to_bytes(*text)));
  rest.mutable_graph()->mutable_node(0)->set_input(1, "w");
  const std::string graph_rest = rest.graph().SerializeAsString();
  rest.clear_graph();
  const uint64_t tensor_size = tensor_head.size() + bytes;
  const std::string tensor_field = "\x2a" + varint(tensor_size) + tensor_head;
  const uint64_t graph_size = tensor_field.size() + bytes + graph_rest.size();
  std::ofstream file(path("huge.onnx"), std::ios::binary);
  file << rest.SerializeAsString() << "\x3a" << varint(graph_size) << tensor_field;
  file.seekp(static_cast<std::streamoff>(bytes), std::ios::cur);
  file << graph_rest;
  file.close();
  ASSERT_GT(fs::file_size(path("huge.onnx")), bytes);

  auto model = load_model(path("huge.onnx"), "m");
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_TRUE(verify_ir(*model));
  const Node& add = model->graph.node(model->graph.order()[0]);
  EXPECT_EQ(model->graph.value(add.inputs[1]).weight->byte_size(), bytes);
  EXPECT_LT(peak_memory(), 500U << 20);
}

TEST(Sha256, OfAFile) {
  const std::string file = testing::TempDir() + "sha.txt";
  std::ofstream(file) << "abc";
  EXPECT_EQ(*sha256_of_file(file), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::ofstream(file, std::ios::trunc);
  EXPECT_EQ(*sha256_of_file(file), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of_file("/nonexistent").error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace mts
