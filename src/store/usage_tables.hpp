// The tables of usage, for usage.cpp and usage_query.cpp alone.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "db/connection.hpp"
#include "store/usage.hpp"

namespace hearth::store::usage_tables {

struct Table {
  UsageWidth width;
  std::string_view name;
};
inline constexpr std::array tables{Table{UsageWidth::minute, "usage_minutes"},
                                   Table{UsageWidth::hour, "usage_hours"},
                                   Table{UsageWidth::day, "usage_days"}};

struct Measure {
  std::string_view column;
  std::int64_t UsageCounts::* count;
};
inline constexpr std::array measures{
    Measure{"requests", &UsageCounts::requests},
    Measure{"input_tokens", &UsageCounts::input_tokens},
    Measure{"input_cached_tokens", &UsageCounts::input_cached_tokens},
    Measure{"output_tokens", &UsageCounts::output_tokens},
    Measure{"input_audio_tokens", &UsageCounts::input_audio_tokens},
    Measure{"output_audio_tokens", &UsageCounts::output_audio_tokens},
    Measure{"images", &UsageCounts::images},
    Measure{"characters", &UsageCounts::characters},
    Measure{"seconds", &UsageCounts::seconds},
    Measure{"sessions", &UsageCounts::sessions},
};

struct Kind {
  std::string_view name;                   // in the database
  std::span<const std::size_t> counted{};  // indexes of `measures`
};
inline constexpr std::size_t of_completions[] = {0, 1, 2, 3, 4, 5};
inline constexpr std::size_t of_inputs[] = {0, 1};
inline constexpr std::size_t of_images[] = {0, 6};
inline constexpr std::size_t of_speeches[] = {0, 7};
inline constexpr std::size_t of_transcriptions[] = {0, 8};
inline constexpr std::size_t of_sessions[] = {9};
inline constexpr std::array kinds{
    Kind{"completions", of_completions},
    Kind{"embeddings", of_inputs},
    Kind{"moderations", of_inputs},
    Kind{"images", of_images},
    Kind{"audio_speeches", of_speeches},
    Kind{"audio_transcriptions", of_transcriptions},
    Kind{"code_interpreter_sessions", of_sessions},
};

inline const Kind& of(contract::UsageKind kind) {
  return kinds[static_cast<std::size_t>(kind)];
}

inline std::string_view table_of(UsageWidth width) {
  return tables[static_cast<std::size_t>(width)].name;
}

inline std::string_view batch_text(contract::Delivery delivery) {
  return delivery == contract::Delivery::batch ? "true" : "false";
}

inline UnixSeconds bucket_of(UnixSeconds at, UsageWidth width) {
  return at - at % seconds_of(width);
}

// Appends "AND column IN ($n, …)".
void restrict(std::string& sql, std::vector<db::Param>& values, std::string_view column,
              const std::vector<std::string>& allowed);

// What the rows of an organization's series of a kind are found by; 0 when it has none.
std::int64_t find_scope(db::Connection& connection, const OrganizationId& organization,
                        contract::UsageKind kind);

}  // namespace hearth::store::usage_tables
