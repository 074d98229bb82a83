// Reads the JSON files that mts writes and users may edit: every field is required, unknown ones are refused,
// and the first error names file and field.
#pragma once

#include <mts/error.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

namespace mts {

using Json = nlohmann::ordered_json;

// In: values of a document and how messages call their places ("memory[1].bytes"). The first error is kept,
// and what is read after it does not matter.
class JsonReader {
 public:
  JsonReader(const std::string& file, std::string what) : file_(file), what_(std::move(what)) {}

  bool ok() const { return error_.message.empty(); }
  const Error& error() const { return error_; }
  void refuse(const std::string& field, const std::string& message) {
    if (ok()) error_ = Error{ErrorCode::kUsage, message, {.file = file_, .node = {}, .value = field}};
  }

  // An object with exactly these fields; the optional ones may be missing.
  bool object(const Json& json, const std::string& field, std::initializer_list<std::string_view> names,
              std::initializer_list<std::string_view> optional = {}) {
    if (!json.is_object()) return refuse(field, "is not an object"), false;
    for (const std::string_view name : names)
      if (!json.contains(name)) refuse(under(field, name), "is missing");
    for (const auto& [key, value] : json.items())
      if (std::ranges::find(names, std::string_view(key)) == names.end() &&
          std::ranges::find(optional, std::string_view(key)) == optional.end())
        refuse(under(field, key), "is not a field of " + what_);
    return ok();
  }
  bool list(const Json& json, const std::string& field) {
    if (!json.is_array() || json.empty()) refuse(field, "is not a list with entries");
    return ok();
  }
  std::string text(const Json& json, const std::string& field) {
    if (!json.is_string() || json.get<std::string>().empty()) return refuse(field, "is not a text"), "";
    return json.get<std::string>();
  }
  bool truth(const Json& json, const std::string& field) {
    if (!json.is_boolean()) return refuse(field, "is neither true nor false"), false;
    return json.get<bool>();
  }
  // A number above 0 (or of at least 0) and up to `high`.
  double number(const Json& json, const std::string& field, bool zero_too = false, double high = 1e24) {
    const double value = json.is_number() ? json.get<double>() : -1;
    if (!(value > 0 || (zero_too && value == 0)) || value > high) {
      const std::string limit = high == 1 ? ", at most 1" : "";
      refuse(field, (zero_too ? "is not a number of at least 0" : "is not a number above 0") + limit);
      return 1;
    }
    return value;
  }
  static std::string under(const std::string& field, std::string_view name) {
    return field.empty() ? std::string(name) : field + "." + std::string(name);
  }
  static std::string at(const std::string& field, size_t i) { return field + "[" + std::to_string(i) + "]"; }

 private:
  std::string file_, what_;
  Error error_ = {};
};

}  // namespace mts
