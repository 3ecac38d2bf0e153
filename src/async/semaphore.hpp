// A counting semaphore for coroutines on any executor: admission counts bytes with it, engines count slots.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

#include "async/task.hpp"

namespace hearth::async {

// First come, first served: a large request is not starved by small ones. Thread: any.
class Semaphore {
  struct State;

 public:
  // What was taken; gives it back when it dies.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit();
    std::size_t count() const { return count_; }
    // Gives back what is held beyond `count`.
    void shrink_to(std::size_t count);
    // Takes over what `other` holds, of the same semaphore.
    void absorb(Permit other);

   private:
    friend class Semaphore;
    Permit(std::shared_ptr<State> state, std::size_t count) : state_(std::move(state)), count_(count) {}
    std::shared_ptr<State> state_;  // shared: a permit may outlive the semaphore at shutdown
    std::size_t count_ = 0;
  };

  explicit Semaphore(std::size_t capacity);

  // nullopt when `count` is not free within `patience`, or can never be.
  Task<std::optional<Permit>> acquire(std::size_t count, std::chrono::milliseconds patience);
  std::optional<Permit> try_acquire(std::size_t count);
  std::size_t available() const;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace hearth::async
