#include "plan/plan_json.h"

#include "plan/json_reader.h"
#include "plan/lanes.h"
#include "plan/memory.h"
#include "plan/schedule.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>

namespace mts {
namespace {

constexpr int kSchemaVersion = 1;

Json forms_json(const std::vector<Form>& forms) {
  Json json = Json::array();
  for (const Form& form : forms) json.push_back(to_string(form));
  return json;
}

Json lane_json(const LanePlan& lane) {
  Json json = {{"members", lane.members}};
  if (!lane.fused()) return json;
  json["strategy"] = name_of(lane.option.strategy);
  json["variant"] = lane.option.variant;
  json["extra_launches"] = lane.option.extra_launches;
  json["operands"] = forms_json(lane.option.operands);
  json["outputs"] = forms_json(lane.option.outputs);
  return json;
}

// A line for each field, and for each entry of a list of objects: short, and fit for diff.
std::string lines_of(const Json& json) {
  const auto dump = [](const Json& one) { return one.dump(-1, ' ', false, Json::error_handler_t::replace); };
  std::string text = "{";
  for (const auto& [key, value] : json.items()) {
    text += fmt::format("{}\n \"{}\": ", text.size() > 1 ? "," : "", key);
    if (!value.is_array() || value.empty() || !value.front().is_object()) {
      text += dump(value);
      continue;
    }
    for (size_t i = 0; i < value.size(); ++i) text += (i == 0 ? "[\n  " : ",\n  ") + dump(value[i]);
    text += "\n ]";
  }
  return text + "\n}\n";
}

template <class E, class Name>
E read_name(JsonReader& reader, const Json& json, const std::string& field, int last, Name name) {
  const std::string text = reader.text(json, field);
  for (int i = 0; i <= last; ++i)
    if (name(static_cast<E>(i)) == text) return static_cast<E>(i);
  reader.refuse(field, "\"" + text + "\" is not known");
  return E{};
}

Nanoseconds read_nanoseconds(JsonReader& reader, const Json& json, const std::string& field) {
  if (json.is_number_integer() && json.get<int64_t>() >= 0) return json.get<int64_t>();
  reader.refuse(field, "is not a whole number of nanoseconds");
  return 0;
}

Strategy read_strategy(JsonReader& reader, const Json& json, const std::string& field) {
  return read_name<Strategy>(reader, json, field, static_cast<int>(Strategy::kApart),
                             [](Strategy s) { return name_of(s); });
}

Form read_form(JsonReader& reader, const Json& json, const std::string& field) {
  const std::string text = reader.text(json, field);
  if (text == "once") return Form::once();
  if (text == "absent") return Form::absent();
  const size_t open = text.find('(');
  Placement placement;
  if (open != std::string::npos &&
      std::from_chars(text.data() + open + 1, text.data() + text.size(), placement.axis).ec == std::errc()) {
    for (const Fold fold : {Fold::kConcat, Fold::kStacked, Fold::kInterleaved}) {
      placement.fold = fold;
      if (to_string(placement) == text) return Form::fused(placement);
    }
  }
  reader.refuse(field, "\"" + text + "\" is not a form like once, absent or concat(0)");
  return {};
}

int64_t read_int(JsonReader& reader, const Json& json, const std::string& field) {
  if (json.is_number_integer()) return json.get<int64_t>();
  reader.refuse(field, "is not a whole number");
  return 0;
}

std::vector<Form> read_forms(JsonReader& reader, const Json& json, const std::string& field) {
  std::vector<Form> forms;
  if (!json.is_array()) reader.refuse(field, "is not a list");
  if (!reader.ok()) return forms;
  for (size_t i = 0; i < json.size(); ++i)
    forms.push_back(read_form(reader, json[i], JsonReader::at(field, i)));
  return forms;
}

std::vector<std::string> read_texts(JsonReader& reader, const Json& json, const std::string& field) {
  std::vector<std::string> texts;
  if (!json.is_array()) reader.refuse(field, "is not a list");
  if (!reader.ok()) return texts;
  for (size_t i = 0; i < json.size(); ++i) texts.push_back(reader.text(json[i], JsonReader::at(field, i)));
  return texts;
}

LanePlan read_lane(JsonReader& reader, const Json& json, const std::string& field) {
  LanePlan lane;
  const bool fused = json.is_object() && json.contains("strategy");
  const bool sound =
      fused ? reader.object(json, field,
                            {"members", "strategy", "variant", "extra_launches", "operands", "outputs"})
            : reader.object(json, field, {"members"});
  if (!sound || !reader.list(json["members"], field + ".members")) return lane;
  for (size_t i = 0; i < json["members"].size(); ++i)
    lane.members.push_back(
        static_cast<uint32_t>(read_int(reader, json["members"][i], JsonReader::at(field + ".members", i))));
  if (!fused) return lane;
  lane.option.strategy = read_strategy(reader, json["strategy"], field + ".strategy");
  lane.option.variant = static_cast<int32_t>(read_int(reader, json["variant"], field + ".variant"));
  lane.option.extra_launches =
      static_cast<int32_t>(read_int(reader, json["extra_launches"], field + ".extra_launches"));
  lane.option.operands = read_forms(reader, json["operands"], field + ".operands");
  lane.option.outputs = read_forms(reader, json["outputs"], field + ".outputs");
  return lane;
}

void read_alternatives(JsonReader& reader, const Json& json, const std::string& field, ColumnPlan& column,
                       RecordedPlan& recorded) {
  if (!json.contains("node") || !json.contains("group")) return reader.refuse(field, "has no node or group");
  recorded.names.push_back(
      {.node = reader.text(json["node"], field + ".node"),
       .group = static_cast<size_t>(read_nanoseconds(reader, json["group"], field + ".group"))});
  if (recorded.names.back().group >= recorded.groups.size()) reader.refuse(field + ".group", "is not there");
  const Json& list = json["alternatives"];
  if (!reader.list(list, field + ".alternatives")) return;
  for (size_t i = 0; i < list.size() && reader.ok(); ++i) {
    const std::string place = JsonReader::at(field + ".alternatives", i);
    if (!reader.object(list[i], place, {"strategy", "predicted_ns"}, {"measured_ns"})) return;
    Alternative one{.strategy = read_strategy(reader, list[i]["strategy"], place + ".strategy"),
                    .cost = read_nanoseconds(reader, list[i]["predicted_ns"], place + ".predicted_ns"),
                    .measured = {}};
    if (list[i].contains("measured_ns"))
      one.measured = read_nanoseconds(reader, list[i]["measured_ns"], place + ".measured_ns");
    column.alternatives.push_back(one);
  }
  if (reader.ok() && std::ranges::find(column.alternatives, column.strategy, &Alternative::strategy) ==
                         column.alternatives.end())
    reader.refuse(field + ".alternatives", "do not have the strategy of the column");
}

void read_column(JsonReader& reader, const Json& json, const std::string& field, RecordedPlan& recorded) {
  ColumnPlan column;
  if (!reader.object(json, field, {"op", "strategy", "why", "lanes"}, {"group", "node", "alternatives"}))
    return;
  recorded.operators.push_back(reader.text(json["op"], field + ".op"));
  column.strategy = read_strategy(reader, json["strategy"], field + ".strategy");
  if (json["why"].is_string()) column.refusal = json["why"].get<std::string>();
  if (reader.list(json["lanes"], field + ".lanes"))
    for (size_t i = 0; i < json["lanes"].size() && reader.ok(); ++i)
      column.lanes.push_back(read_lane(reader, json["lanes"][i], JsonReader::at(field + ".lanes", i)));
  if (json.contains("alternatives")) read_alternatives(reader, json, field, column, recorded);
  recorded.plan.columns.push_back(std::move(column));
}

void read_measured(JsonReader& reader, const Json& json, Plan& plan) {
  if (!reader.list(json, "measured")) return;
  for (size_t i = 0; i < json.size() && reader.ok(); ++i) {
    const std::string field = JsonReader::at("measured", i);
    if (!reader.object(json[i], field, {"plan", "measured_ns", "predicted_ns", "by_layers_ns"})) return;
    const auto time = [&](const char* name) {
      return read_nanoseconds(reader, json[i][name], JsonReader::under(field, name));
    };
    plan.measured.push_back({.name = reader.text(json[i]["plan"], field + ".plan"),
                             .measured = time("measured_ns"),
                             .predicted = time("predicted_ns"),
                             .by_layers = time("by_layers_ns")});
  }
}

// Whether the lanes hold every member of the column once.
bool covers(const ColumnPlan& plan, size_t members) {
  std::set<uint32_t> seen;
  for (const LanePlan& lane : plan.lanes)
    for (const uint32_t member : lane.members)
      if (member >= members || !seen.insert(member).second) return false;
  return seen.size() == members;
}

// The group in which a member's first node runs.
size_t group_of(const Plan& plan, const Member& member) {
  size_t first = plan.groups.size();
  for (size_t g = 0; g < plan.groups.size(); ++g)
    for (const auto& [model, node] : member.origins)
      if (std::ranges::find(plan.groups[g], model) != plan.groups[g].end()) first = std::min(first, g);
  return first;
}

}  // namespace

std::vector<ColumnName> column_names(const Program& program, const Plan& plan) {
  std::vector<ColumnName> names;
  for (const Column& column : program.columns) {
    const Member& member = column.members.front();
    const Node& node = program.node(member);
    names.push_back(
        {.node = (*program.models)[member.model].name + ":" + (node.name.empty() ? node.op_type : node.name),
         .group = group_of(plan, member)});
  }
  return names;
}

std::string to_json(const Program& program, const Plan& plan, const PlanFlags& flags) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["target"] = flags.target;
  json["strategy"] = name_of(flags.strategy);
  json["objective"] = name_of(flags.objective);
  json["share_inputs"] = flags.share_inputs;
  json["independent_dims"] = flags.independent_dims;
  json["partial"] = flags.partial;
  json["groups"] = Json::array();
  for (const auto& group : plan.groups) {
    Json names = Json::array();
    for (const uint32_t model : group) names.push_back((*program.models)[model].name);
    json["groups"].push_back(std::move(names));
  }
  json["predicted"] = {{"fused_ns", plan.predicted},
                       {"apart_ns", plan.predicted_apart},
                       {"sequential_ns", plan.predicted_sequential}};
  const bool explained = std::ranges::any_of(
      plan.columns, [](const ColumnPlan& column) { return !column.alternatives.empty(); });
  if (explained) {
    json["predicted"]["peak_bytes"] = static_cast<int64_t>(plan.predicted_memory.peak());
    json["predicted"]["floor_ns"] = plan.floor;
  }
  if (!plan.measured.empty()) {
    json["measured"] = Json::array();
    for (const MeasuredPlan& one : plan.measured)
      json["measured"].push_back({{"plan", one.name},
                                  {"measured_ns", one.measured},
                                  {"predicted_ns", one.predicted},
                                  {"by_layers_ns", one.by_layers}});
  }
  const std::vector<ColumnName> names = explained ? column_names(program, plan) : std::vector<ColumnName>{};
  json["columns"] = Json::array();
  for (size_t c = 0; c < plan.columns.size(); ++c) {
    Json lanes = Json::array();
    for (const LanePlan& lane : plan.columns[c].lanes) lanes.push_back(lane_json(lane));
    json["columns"].push_back({{"op", program.node(program.columns[c].members.front()).op_type},
                               {"strategy", name_of(plan.columns[c].strategy)},
                               {"why", plan.columns[c].refusal},
                               {"lanes", std::move(lanes)}});
    if (!explained) continue;
    Json& column = json["columns"].back();
    column["group"] = names[c].group;
    column["node"] = names[c].node;
    column["alternatives"] = Json::array();
    for (const Alternative& one : plan.columns[c].alternatives) {
      Json alternative = {{"strategy", name_of(one.strategy)}, {"predicted_ns", one.cost}};
      if (one.measured) alternative["measured_ns"] = *one.measured;
      column["alternatives"].push_back(std::move(alternative));
    }
  }
  return lines_of(json);
}

Result<RecordedPlan> parse_plan(std::string_view text, const std::string& file) {
  JsonReader reader(file, "a plan");
  RecordedPlan recorded;
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return fail(ErrorCode::kUsage, "is not JSON", {.file = file, .node = {}, .value = {}});
  if (reader.object(json, "",
                    {"schema_version", "target", "strategy", "objective", "share_inputs", "independent_dims",
                     "partial", "groups", "predicted", "columns"},
                    {"measured"})) {
    if (json["schema_version"] != kSchemaVersion)
      reader.refuse("schema_version", fmt::format("this mts reads version {}", kSchemaVersion));
    PlanFlags& flags = recorded.flags;
    flags.target = reader.text(json["target"], "target");
    flags.strategy = read_name<StitchOptions::Strategy>(reader, json["strategy"], "strategy", 3,
                                                        [](auto s) { return name_of(s); });
    flags.objective = read_name<StitchOptions::Objective>(reader, json["objective"], "objective", 1,
                                                          [](auto o) { return name_of(o); });
    flags.share_inputs = read_texts(reader, json["share_inputs"], "share_inputs");
    flags.independent_dims = reader.truth(json["independent_dims"], "independent_dims");
    if (json["partial"].is_string()) {
      flags.partial = json["partial"].get<std::string>();
    } else {
      reader.refuse("partial", "is not a text");
    }
    if (reader.list(json["groups"], "groups"))
      for (size_t g = 0; g < json["groups"].size(); ++g)
        recorded.groups.push_back(read_texts(reader, json["groups"][g], JsonReader::at("groups", g)));
    const Json& predicted = json["predicted"];
    if (reader.object(predicted, "predicted", {"fused_ns", "apart_ns", "sequential_ns"},
                      {"peak_bytes", "floor_ns"})) {
      recorded.plan.predicted = read_int(reader, predicted["fused_ns"], "predicted.fused_ns");
      recorded.plan.predicted_apart = read_int(reader, predicted["apart_ns"], "predicted.apart_ns");
      recorded.plan.predicted_sequential =
          read_int(reader, predicted["sequential_ns"], "predicted.sequential_ns");
      if (predicted.contains("peak_bytes"))
        recorded.plan.predicted_memory.activations =
            reader.number(predicted["peak_bytes"], "predicted.peak_bytes", /*zero_too=*/true);
      if (predicted.contains("floor_ns"))
        recorded.plan.floor = read_nanoseconds(reader, predicted["floor_ns"], "predicted.floor_ns");
    }
    if (json.contains("measured")) read_measured(reader, json["measured"], recorded.plan);
    if (!json["columns"].is_array()) reader.refuse("columns", "is not a list");
    for (size_t c = 0; reader.ok() && c < json["columns"].size(); ++c)
      read_column(reader, json["columns"][c], JsonReader::at("columns", c), recorded);
    if (!recorded.names.empty() && recorded.names.size() != recorded.plan.columns.size())
      reader.refuse("columns", "some have alternatives, others have none");
  }
  if (!reader.ok()) return tl::unexpected(reader.error());
  return recorded;
}

Result<Groups> recorded_groups(const RecordedPlan& recorded, const Program& program,
                               const std::string& file) {
  const Where where{.file = file, .node = {}, .value = "groups"};
  std::map<std::string, uint32_t> models;
  for (uint32_t m = 0; m < program.models->size(); ++m) models[(*program.models)[m].name] = m;
  Groups groups;
  for (const auto& names : recorded.groups) {
    auto& group = groups.emplace_back();
    for (const std::string& name : names) {
      const auto found = models.find(name);
      if (found == models.end())
        return fail(ErrorCode::kUsage, "the plan has a model \"" + name + "\" that is not given, or twice",
                    where);
      group.push_back(found->second);
      models.erase(found);
    }
  }
  if (!models.empty())
    return fail(ErrorCode::kUsage, "the plan does not have the model \"" + models.begin()->first + "\"",
                where);
  return groups;
}

Result<Plan> replay(const RecordedPlan& recorded, const Program& program, const Groups& groups,
                    const std::string& file) {
  const auto misfit = [&](size_t column, const std::string& why) {
    std::string node;
    if (column < program.columns.size()) {
      const Member& member = program.columns[column].members.front();
      node = (*program.models)[member.model].name + ":" + program.node(member).label();
    }
    return fail(ErrorCode::kUsage, "the plan was made for other models, or by another version: " + why,
                {.file = file, .node = node, .value = {}});
  };
  if (recorded.plan.columns.size() != program.columns.size())
    return misfit(program.columns.size(), fmt::format("it has {} sets of corresponding nodes, the models {}",
                                                      recorded.plan.columns.size(), program.columns.size()));
  const bool netfuse = recorded.flags.strategy == StitchOptions::Strategy::kNetfuse;
  const WeightUse weights(program, netfuse);
  Plan plan = recorded.plan;
  for (size_t c = 0; c < plan.columns.size(); ++c) {
    const Column& column = program.columns[c];
    if (recorded.operators[c] != program.node(column.members.front()).op_type)
      return misfit(c, "there the plan has " + recorded.operators[c]);
    if (!covers(plan.columns[c], column.members.size()))
      return misfit(c, fmt::format("the plan's lanes are not of the set's {} nodes", column.members.size()));
    for (const LanePlan& lane : plan.columns[c].lanes) {
      if (!lane.fused()) continue;
      // The placements at hand are those that the plan asks for.
      const auto candidates = [&](size_t operand) -> std::vector<Placement> {
        if (operand >= lane.option.operands.size() || !lane.option.operands[operand].is_fused()) return {};
        return {lane.option.operands[operand].placement};
      };
      const Proposal proposal = propose_lane(program, column, lane.members, weights, netfuse, candidates);
      if (std::ranges::find(proposal.options, lane.option) == proposal.options.end())
        return misfit(c, proposal.options.empty() ? proposal.refusal : "the operator cannot run as it says");
    }
  }
  plan.groups = groups;
  plan.order = schedule(program, plan.columns, plan.groups);
  plan.predicted_memory = predicted_memory(program, plan.columns, plan.order);
  return plan;
}

}  // namespace mts
