// What a driver throws. Database turns the kinds that end a request into ApiError 503.
#pragma once

#include <stdexcept>
#include <string>

namespace hearth::db {

enum class ErrorKind {
  busy,         // another process held the lock for longer than the driver waits
  unavailable,  // disk full, I/O error, corrupt file, lost connection
  constraint,   // unique, not null, foreign key: the caller may act on it
  statement,    // our SQL or our use of it is wrong
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace hearth::db
