// Passwords from a terminal or a pipe.
#pragma once

#include <string>

namespace hearth::app {

// Asks twice, without echo. Throws where the two differ or the password is not allowed.
std::string prompt_password();
// The first line of standard input. Throws where it is not allowed.
std::string read_password_line();
bool is_terminal();

}  // namespace hearth::app
