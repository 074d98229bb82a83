// Semantic comparison of models for the tests of reading and writing.
#pragma once

#include <mts/graph.h>

#include <string>

namespace mts::test {

// What differs between two models, for a person; empty when they say the same. Names count, ids do not.
std::string difference(const Model& a, const Model& b);

// The same of two serialised ModelProtos, decided by protobuf alone, independent of mts: encodings of
// tensors, the order of initializers and value infos, unused initializers and the IR version do not count.
// Empty when equal.
std::string proto_difference(const std::string& a, const std::string& b);

}  // namespace mts::test
