#include "app/password_input.hpp"

#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include "domain/passwords.hpp"

namespace hearth::app {
namespace {

// While it exists, the terminal does not show what is typed.
class SilentTerminal {
 public:
  SilentTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~SilentTerminal() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

std::string read_line() {
  std::string line;
  if (!std::getline(std::cin, line)) throw std::runtime_error("there is no password on standard input");
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string ask(std::string_view question) {
  const SilentTerminal silence;
  fmt::print(stderr, "{}: ", question);
  std::string line = read_line();
  fmt::print(stderr, "\n");
  return line;
}

std::string checked(std::string password) {
  if (const auto fault = domain::find_password_fault(password)) throw std::runtime_error(*fault);
  return password;
}

}  // namespace

std::string prompt_password() {
  std::string password = checked(ask("Password"));
  if (ask("The same again") != password) throw std::runtime_error("the two passwords differ");
  return password;
}

std::string read_password_line() {
  return checked(read_line());
}

bool is_terminal() {
  return ::isatty(STDIN_FILENO) == 1;
}

}  // namespace hearth::app
