// Which channels of a model are which: every value that holds channels along one axis is followed through the
// operators that keep them, up to the operators that mix them.
//
// A channel is the smallest part of an axis that always moves as one: an output channel of a convolution, a
// column of a MatMul, a whole attention head. Channels that the arithmetic ties together (both operands of a
// residual Add) are one.
//
// in:  a canonical model with the types that shape inference can give
// out: per value the channels along one axis, per node what it does to them
#pragma once

#include <mts/align.h>
#include <mts/graph.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace mts::partial {

using Channel = uint32_t;
inline constexpr Channel kNoChannel = 0xffffffffu;

struct Tracked {
  size_t axis = 0;
  int64_t unit = 1;               // consecutive elements of the axis that one channel has
  std::vector<Channel> channels;  // in the order of the axis: dim == unit * channels.size()
  bool pinned = false;  // made by something that does not know channels: its order cannot be changed
};

// How a node reads one of its operands when only some of the channels are computed.
struct OperandRole {
  enum class Kind {
    kFixed,      // as it is: no channels, or the same for all of them
    kChannels,   // the same channels of a tracked value
    kParameter,  // a constant with `unit` elements a channel along `axis`
    kTarget,     // a constant shape whose entry `axis` is `unit` elements a channel
  };
  Kind kind = Kind::kFixed;
  size_t axis = 0;
  int64_t unit = 1;
};

// A constant that mixes channels: rows make the output's channels, columns read the input's.
struct Layer {
  ValueId weight = kNoValue, bias = kNoValue;
  size_t weight_input = 1, bias_input = 2;
  size_t row_axis = 0, column_axis = 1;  // of the weight
  size_t bias_axis = 0;
  Tracked columns;  // of operand 0; positions of the column axis where operand 0 is not tracked along it
  bool splits_columns = false;  // operand 0 is tracked along the axis: some of its channels can be had alone
};

struct NodeRole {
  enum class Kind {
    kOpaque,  // reads and makes whole values, in their own order
    kLayer,   // mixes channels by a constant
    kEach,    // works on every channel by itself
    kWhole,   // needs all channels at once, in any order (LayerNormalization); the output has the same ones,
              // if any
    kJoin,    // Concat along the axis
  };
  Kind kind = Kind::kOpaque;
  std::vector<OperandRole> operands;
  bool group_is_count = false;  // the attribute `group` is the number of channels (depthwise convolution)
  Layer layer;
};

struct Channels {
  std::vector<std::optional<Tracked>> tracked;  // by value
  std::vector<NodeRole> roles;                  // by node
  std::vector<NodeId> makers;                   // by channel: the node (kNoNode: a graph input) that made it
  std::vector<uint32_t> batches;                // by channel: equal for those that were made together

  // The representative of the channels that are tied to this one.
  Channel root(Channel channel) const { return roots[channel]; }
  std::vector<Channel> roots;  // by channel, fully resolved
};

// What other models tell about nodes that can be read in two ways: dimensions of 1 say little.
struct Hints {
  std::map<NodeId, size_t> reshapes;  // the axis of the output along which the channels lie: one attention
                                      // head moves as one, its columns need not
  std::set<NodeId> depthwise;         // convolutions of one channel
};

Channels find_channels(const Model& model, const Hints& hints = {});
// Of all models; what a node of one of them tells helps with nodes of others that correspond.
std::vector<Channels> find_channels(const std::vector<Model>& models, const Alignment& alignment);

}  // namespace mts::partial
