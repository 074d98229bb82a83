// Equal content is stored once, in whatever shapes it is read.
#include "stitch/constants.h"

#include "tests/canon/run_both.h"

#include <string>

namespace mts::testing {
namespace {

Model parse(const std::string& outputs, const std::string& constants, const std::string& body) {
  auto model = parse_text("<ir_version: 8, opset_import: [\"\" : 17]>\ng (float[N] x) => (" + outputs +
                          ")\n<" + constants + ">\n{ " + body + " }");
  EXPECT_TRUE(model) << model.error().to_string();
  return std::move(*model);
}

size_t stored(const Graph& graph) {
  size_t count = 0;
  for (uint32_t v = 0; v < graph.value_count(); ++v) {
    const WeightPtr& weight = graph.value(ValueId{v}).weight;
    count += weight != nullptr && weight->dtype() == DType::kFloat32;
  }
  return count;
}

TEST(Constants, OneContentInTwoShapes) {
  const std::string constants = "float[2, 1] a = {1, 2}, float[2] b = {1, 2}",
                    body = "y = Add(x, a) \n z = Neg(b)";
  const Model before = parse("float[2, N] y, float[2] z", constants, body);
  Model after = parse("float[2, N] y, float[2] z", constants, body);
  store_constants_once(after.graph);
  EXPECT_EQ(stored(after.graph), 1u);
  testing_canon::expect_same_results(before, after, "two shapes");
}

// All that is empty is equal, but a Reshape takes the entry 0 of a shape for another dimension.
TEST(Constants, NothingInTwoShapes) {
  const std::string constants = "float[0, 2, 1] a = {}, float[2, 0] b = {}, float[2, 0] c = {}",
                    body = "y = Neg(a) \n n = Neg(b) \n z = Add(n, c)";
  const Model before = parse("float[0, 2, 1] y, float[2, 0] z", constants, body);
  Model after = parse("float[0, 2, 1] y, float[2, 0] z", constants, body);
  store_constants_once(after.graph);
  testing_canon::expect_same_results(before, after, "no elements");
}

}  // namespace
}  // namespace mts::testing
