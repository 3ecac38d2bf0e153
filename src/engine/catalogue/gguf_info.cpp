#include "engine/catalogue/gguf_info.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

namespace hearth::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies in the file");

// Types of metadata values, in the format's own numbers.
enum class Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

constexpr std::uint64_t kept_string_bytes = 4 * 1024 * 1024;
constexpr std::uint64_t kept_metadata_bytes = 64 * 1024 * 1024;
constexpr std::uint64_t kept_pair_bytes = 128;        // what a pair costs in memory beside its key and value
constexpr std::uint64_t read_over_bytes = 64 * 1024;  // a seek throws the stream's buffer away
constexpr std::uint64_t tensor_entry_bytes = 8 + 4 + 4 + 8;  // the least that one takes in the file
constexpr std::uint32_t most_dimensions = 4;
constexpr std::size_t most_layers = 65'536;

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Reads forward; never beyond the end of the file, which is measured first.
class Reader {
 public:
  explicit Reader(const std::string& path) : file_(path, std::ios::binary) {
    if (!file_) throw Broken("it cannot be opened");
    file_.seekg(0, std::ios::end);
    const auto end = file_.tellg();
    if (end < 0) throw Broken("it cannot be read");
    size_ = left_ = static_cast<std::uint64_t>(end);
    file_.seekg(0);
  }

  std::uint64_t size() const { return size_; }
  std::uint64_t left() const { return left_; }

  template <class T>
  T read() {
    T value;
    take(sizeof value);
    file_.read(reinterpret_cast<char*>(&value), sizeof value);
    if (!file_) throw Broken("it cannot be read");
    return value;
  }

  // Longer strings are passed over: nothing that is looked for is so long.
  std::string read_string() {
    const auto length = read<std::uint64_t>();
    if (length > kept_string_bytes) {
      skip(length);
      return {};
    }
    take(length);
    std::string text(length, '\0');
    file_.read(text.data(), static_cast<std::streamsize>(length));
    if (!file_) throw Broken("it cannot be read");
    return text;
  }

  void skip(std::uint64_t bytes) {
    take(bytes);
    if (bytes <= read_over_bytes) {
      file_.ignore(static_cast<std::streamsize>(bytes));
    } else {
      file_.seekg(static_cast<std::streamoff>(bytes), std::ios::cur);
    }
  }

 private:
  void take(std::uint64_t bytes) {
    if (bytes > left_) throw Broken("it is truncated or its lengths are wrong");
    left_ -= bytes;
  }

  std::ifstream file_;
  std::uint64_t size_ = 0;
  std::uint64_t left_ = 0;
};

std::uint64_t width_of(Type type) {
  switch (type) {
    case Type::u8:
    case Type::i8:
    case Type::boolean:
      return 1;
    case Type::u16:
    case Type::i16:
      return 2;
    case Type::u32:
    case Type::i32:
    case Type::f32:
      return 4;
    case Type::u64:
    case Type::i64:
    case Type::f64:
      return 8;
    case Type::string:
    case Type::array:
      break;
  }
  throw Broken("it holds a value of an unknown type");
}

// A whole number of any width; negative ones count as 0, because nothing that is looked for may be negative.
std::uint64_t read_whole(Reader& reader, Type type) {
  const auto positive = [](std::int64_t value) { return value < 0 ? 0 : static_cast<std::uint64_t>(value); };
  switch (type) {
    case Type::u8:
    case Type::boolean:
      return reader.read<std::uint8_t>();
    case Type::i8:
      return positive(reader.read<std::int8_t>());
    case Type::u16:
      return reader.read<std::uint16_t>();
    case Type::i16:
      return positive(reader.read<std::int16_t>());
    case Type::u32:
      return reader.read<std::uint32_t>();
    case Type::i32:
      return positive(reader.read<std::int32_t>());
    case Type::u64:
      return reader.read<std::uint64_t>();
    case Type::i64:
      return positive(reader.read<std::int64_t>());
    default:
      reader.skip(width_of(type));
      return 0;
  }
}

// The token texts by which models mark the three parts of a text with a gap.
bool marks_a_gap(std::string_view token, std::size_t part) {
  static constexpr std::array<std::array<std::string_view, 6>, 3> texts{{
      {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<PRE>", "\xE2\x96\x81<PRE>", "<|code_prefix|>"},
      {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<SUF>", "\xE2\x96\x81<SUF>", "<|code_suffix|>"},
      {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<MID>", "\xE2\x96\x81<MID>", "<|code_middle|>"},
  }};
  return std::ranges::find(texts[part], token) != texts[part].end();
}

// The metadata that anything here looks at, within bounds: a hostile file may be all metadata.
struct Metadata {
  std::unordered_map<std::string, std::string> strings;
  std::unordered_map<std::string, std::vector<std::uint64_t>> numbers;  // single ones have one element
  std::uint64_t tokens = 0;
  std::array<bool, 3> gap_marks{};
  std::uint64_t kept_bytes = 0;

  void keep(const std::string& key, std::string value) {
    count(key.size() + value.size());
    strings[key] = std::move(value);
  }
  void keep(const std::string& key, std::vector<std::uint64_t> values) {
    count(key.size() + values.size() * sizeof(std::uint64_t));
    numbers[key] = std::move(values);
  }

  std::uint64_t number(const std::string& key) const {
    const auto found = numbers.find(key);
    return found == numbers.end() || found->second.empty() ? 0 : found->second.front();
  }
  std::uint32_t number32(const std::string& key) const {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(number(key), std::numeric_limits<std::uint32_t>::max()));
  }
  std::string text(const std::string& key) const {
    const auto found = strings.find(key);
    return found == strings.end() ? "" : found->second;
  }

 private:
  void count(std::uint64_t bytes) {
    kept_bytes += bytes + kept_pair_bytes;
    if (kept_bytes > kept_metadata_bytes) throw Broken("its metadata is too large");
  }
};

void read_array(Reader& reader, const std::string& key, Metadata& out) {
  const auto type = static_cast<Type>(reader.read<std::uint32_t>());
  const auto count = reader.read<std::uint64_t>();
  if (type == Type::string) {
    if (count > reader.left() / sizeof(std::uint64_t))
      throw Broken("it is truncated or its lengths are wrong");
    const bool vocabulary = key == "tokenizer.ggml.tokens";
    if (vocabulary) out.tokens = count;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!vocabulary) {
        reader.skip(reader.read<std::uint64_t>());
        continue;
      }
      const std::string token = reader.read_string();
      for (std::size_t part = 0; part < out.gap_marks.size(); ++part)
        out.gap_marks[part] = out.gap_marks[part] || marks_a_gap(token, part);
    }
    return;
  }
  const std::uint64_t width = width_of(type);  // refuses arrays of arrays
  if (count > reader.left() / width) throw Broken("it is truncated or its lengths are wrong");
  if (count > most_layers || type == Type::f32 || type == Type::f64) {
    reader.skip(count * width);
    return;
  }
  std::vector<std::uint64_t> values;
  for (std::uint64_t i = 0; i < count; ++i)
    values.push_back(read_whole(reader, type));
  out.keep(key, std::move(values));
}

Metadata read_metadata(Reader& reader, std::uint64_t count) {
  Metadata out;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string key = reader.read_string();
    const auto type = static_cast<Type>(reader.read<std::uint32_t>());
    if (type == Type::string) {
      out.keep(key, reader.read_string());
    } else if (type == Type::array) {
      read_array(reader, key, out);
    } else {
      out.keep(key, std::vector{read_whole(reader, type)});
    }
  }
  return out;
}

std::uint64_t multiply(std::uint64_t left, std::uint64_t right) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(left, right, &product)) throw Broken("its sizes are absurd");
  return product;
}

std::uint64_t add(std::uint64_t left, std::uint64_t right) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(left, right, &sum)) throw Broken("its sizes are absurd");
  return sum;
}

std::uint64_t count_parameters(Reader& reader, std::uint64_t tensors) {
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    reader.read_string();
    const auto dimensions = reader.read<std::uint32_t>();
    if (dimensions > most_dimensions) throw Broken("a tensor has too many dimensions");
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < dimensions; ++d)
      elements = multiply(elements, reader.read<std::uint64_t>());
    reader.skip(sizeof(std::uint32_t) + sizeof(std::uint64_t));  // type, offset
    total = add(total, elements);
  }
  return total;
}

std::string pooling_name(std::uint64_t number) {
  static constexpr std::array<std::string_view, 5> names{"none", "mean", "cls", "last", "rank"};
  return number < names.size() ? std::string(names[number]) : "";
}

// Bytes that one token keeps in the caches of all layers.
std::uint64_t cache_bytes(const Metadata& data, const std::string& prefix, const GgufInfo& info) {
  const std::uint64_t heads = std::max<std::uint64_t>(1, data.number(prefix + "attention.head_count"));
  const std::uint64_t head_length = info.embedding_length / heads;
  const auto length_or = [&](const std::string& key) {
    const std::uint64_t given = data.number(prefix + key);
    return given > 0 ? given : head_length;
  };
  const std::uint64_t per_head = add(length_or("attention.key_length"), length_or("attention.value_length"));
  const auto per_layer = data.numbers.find(prefix + "attention.head_count_kv");
  std::uint64_t cached_heads = 0;
  if (per_layer == data.numbers.end()) {
    cached_heads = multiply(heads, info.layers);
  } else if (per_layer->second.size() == 1) {
    cached_heads = multiply(per_layer->second.front(), info.layers);
  } else {
    for (const std::uint64_t each : per_layer->second)
      cached_heads = add(cached_heads, each);
  }
  return multiply(multiply(cached_heads, per_head), 2);
}

GgufInfo read(const std::string& path) {
  Reader reader(path);
  if (reader.size() < 24 || reader.read<std::uint32_t>() != 0x46554747U)
    throw Broken("it is not a GGUF file");
  const auto version = reader.read<std::uint32_t>();
  if (version < 2 || version > 3) throw Broken(fmt::format("its version {} is unknown", version));
  const auto tensors = reader.read<std::uint64_t>();
  const auto pairs = reader.read<std::uint64_t>();
  if (tensors > reader.left() / tensor_entry_bytes || pairs > reader.left() / 13)
    throw Broken("it is truncated or its lengths are wrong");

  const Metadata data = read_metadata(reader, pairs);
  GgufInfo info;
  info.file_bytes = reader.size();
  info.parameters = count_parameters(reader, tensors);
  info.architecture = data.text("general.architecture");
  if (info.architecture.empty()) throw Broken("it does not say its architecture");
  const std::string prefix = info.architecture + ".";
  info.name = data.text("general.name");
  info.trained_context = data.number32(prefix + "context_length");
  info.embedding_length = data.number32(prefix + "embedding_length");
  info.layers = data.number32(prefix + "block_count");
  if (info.layers > most_layers) throw Broken("its sizes are absurd");
  info.vocabulary = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(data.tokens > 0 ? data.tokens : data.number(prefix + "vocab_size"),
                              std::numeric_limits<std::uint32_t>::max()));
  info.chat_template = data.text("tokenizer.chat_template");
  if (data.numbers.contains(prefix + "pooling_type"))
    info.pooling = pooling_name(data.number(prefix + "pooling_type"));
  const auto has_mark = [&](std::size_t part, const std::string& name) {
    return data.gap_marks[part] || data.numbers.contains("tokenizer.ggml." + name + "_token_id");
  };
  info.fill_in_middle = has_mark(0, "fim_pre") && has_mark(1, "fim_suf") && has_mark(2, "fim_mid");
  info.cache_bytes_per_token = cache_bytes(data, prefix, info);
  return info;
}

}  // namespace

bool GgufInfo::is_encoder() const {
  return architecture.find("bert") != std::string::npos || architecture == "t5encoder";
}

std::expected<GgufInfo, std::string> read_gguf_info(const std::string& path) {
  try {
    return read(path);
  } catch (const std::exception& error) {
    return std::unexpected(fmt::format("the model file {} cannot be used: {}", path, error.what()));
  }
}

}  // namespace hearth::engine
