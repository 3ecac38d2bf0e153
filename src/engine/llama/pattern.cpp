#include "engine/llama/pattern.hpp"

#include <cstddef>
#include <cstdint>

namespace hearth::engine::llama {
namespace {

constexpr int deepest_group = 50;
constexpr int most_repetitions = 2000;

// What the grammar writes for a text goes between quotation marks as it is: these would end the string, or
// begin an escape.
constexpr char32_t quote = '"';
constexpr char32_t backslash = '\\';

constexpr std::string_view breaks_the_string =
    "quotation marks, backslashes and control characters cannot be enforced";

// Reads what is between the anchors, of the part of the language that the grammar renders faithfully.
class PatternReader {
 public:
  explicit PatternReader(std::string_view text) : text_(text) {}

  std::optional<std::string_view> read() {
    read_choice(0);
    if (!fault_ && !at_end()) fault_ = "its parentheses do not match";
    return fault_;
  }

 private:
  // A repetition behind an escaped or a non-ASCII character would repeat more, or less, than that character.
  enum class Atom { repeatable, single };

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char wanted) {
    if (peek() != wanted || at_end()) return false;
    ++at_;
    return true;
  }

  char32_t take_character() {
    const auto lead = static_cast<unsigned char>(text_[at_++]);
    if (lead < 0x80) return lead;
    const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    char32_t code = lead & (0x3f >> more);
    for (int i = 0; i < more && !at_end(); ++i)
      code = (code << 6) | (static_cast<unsigned char>(text_[at_++]) & 0x3f);
    return code;
  }

  void read_choice(int depth) {
    if (depth > deepest_group) {
      fault_ = "its groups are nested too deeply";
      return;
    }
    do {
      while (!fault_ && !at_end() && peek() != '|' && peek() != ')')
        read_repetition(read_atom(depth));
    } while (!fault_ && take('|'));
  }

  Atom read_atom(int depth) {
    if (take('(')) {
      if (take('?') && !take(':')) {
        fault_ = "lookaround and named groups cannot be enforced";
        return Atom::single;
      }
      read_choice(depth + 1);
      if (!fault_ && !take(')')) fault_ = "its parentheses do not match";
      return Atom::repeatable;
    }
    if (take('[')) {
      read_class();
      return Atom::repeatable;
    }
    if (take('\\')) {
      if (at_end() || std::string_view("^$.[](){}|*+?-").find(peek()) == std::string_view::npos) {
        fault_ = "this escape cannot be enforced; please write the characters as a class, such as [0-9]";
        return Atom::single;
      }
      ++at_;
      return Atom::single;
    }
    const char32_t character = take_character();
    if (character == '.') {
      fault_ = "'.' cannot be enforced; please write the characters as a class";
    } else if (character == '^' || character == '$') {
      fault_ = "it must have one '^' at its beginning and one '$' at its end";
    } else if (character < 0x80 &&
               std::string_view("]{}*+?").find(static_cast<char>(character)) != std::string_view::npos) {
      fault_ = "it is not a regular expression that can be enforced";
    } else {
      refuse_breaking(character);
    }
    return character < 0x80 ? Atom::repeatable : Atom::single;
  }

  void refuse_breaking(char32_t character) {
    if (character < 0x20 || character == quote || character == backslash) fault_ = breaks_the_string;
  }

  char32_t read_class_character() {
    if (take('\\')) {
      if (at_end() || std::string_view("[]-").find(peek()) == std::string_view::npos) {
        fault_ = "this escape in a character class cannot be enforced";
        return 0;
      }
      return static_cast<unsigned char>(text_[at_++]);
    }
    const char32_t character = take_character();
    refuse_breaking(character);
    return character;
  }

  void read_class() {
    if (peek() == '^') {
      fault_ = "negated character classes cannot be enforced";
      return;
    }
    if (peek() == ']') {
      fault_ = "it has an empty character class";
      return;
    }
    while (!fault_ && !at_end() && peek() != ']') {
      const char32_t first = read_class_character();
      if (fault_ || peek() != '-' || at_ + 1 >= text_.size() || text_[at_ + 1] == ']') continue;
      ++at_;
      const char32_t last = read_class_character();
      if (fault_) return;
      if (first > last) {
        fault_ = "a range in a character class is reversed";
      } else if ((first <= quote && quote <= last) || (first <= backslash && backslash <= last)) {
        fault_ = breaks_the_string;
      }
    }
    if (!fault_ && !take(']')) fault_ = "a character class does not end";
  }

  void read_repetition(Atom atom) {
    if (fault_ || at_end()) return;
    if (peek() == '{') {
      ++at_;
      read_counts();
    } else if (!take('*') && !take('+') && !take('?')) {
      return;
    }
    if (fault_) return;
    if (atom == Atom::single) {
      fault_ = "a repeated character that is escaped or not ASCII must be written as a class, such as [.]+";
    } else if (peek() == '?' || peek() == '*' || peek() == '+' || peek() == '{') {
      fault_ = "lazy and repeated repetitions cannot be enforced";
    }
  }

  void read_counts() {
    const int least = read_number();
    int most = least;
    if (take(',')) most = peek() == '}' ? most_repetitions : read_number();
    if (!take('}') || least < 0 || most < 1 || most < least || most > most_repetitions)
      fault_ = "its repetition counts cannot be enforced";
  }

  // -1 when there is none, or when it is beyond every limit.
  int read_number() {
    int number = -1;
    while (!at_end() && peek() >= '0' && peek() <= '9') {
      if (number > most_repetitions) return -1;
      number = (number < 0 ? 0 : number * 10) + (text_[at_++] - '0');
    }
    return number;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<std::string_view> fault_;
};

}  // namespace

std::optional<std::string_view> why_not_enforced(std::string_view pattern) {
  if (pattern.size() < 2 || pattern.front() != '^' || pattern.back() != '$')
    return "it must begin with '^' and end with '$'";
  return PatternReader(pattern.substr(1, pattern.size() - 2)).read();
}

}  // namespace hearth::engine::llama
