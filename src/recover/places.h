// Where corresponding nodes of several models read constants that could be one.
#pragma once

#include "recover/elements.h"

#include <mts/align.h>
#include <mts/graph.h>

#include <memory>
#include <vector>

namespace mts::recover_detail {

struct Member {
  uint32_t model;
  NodeId node;
  ValueId value;  // the constant
};

// Operand `slot` of the nodes of one aligned set: members with float constants of one dtype and equal dims,
// in the order of the models; two or more.
struct Place {
  size_t slot;
  std::vector<Member> members;
};

// In the order of the alignment's sets.
std::vector<Place> find_places(const std::vector<Model>& models, const Alignment& alignment);

// Members whose constants are equal bit by bit at present.
struct Content {
  std::unique_ptr<Elements> elements;
  std::vector<Member> members;
};
// In order of first occurrence.
std::vector<Content> contents_of(const std::vector<Model>& models, const std::vector<Member>& members);

}  // namespace mts::recover_detail
