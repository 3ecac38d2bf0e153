#include "domain/limits/redis_ledger.hpp"

#include <charconv>
#include <random>

#include <fmt/format.h>

#include "base/log.hpp"
#include "domain/limits/redis_script.hpp"

namespace hearth::domain {
namespace {

using net::RedisReply;
using Command = net::RedisClient::Command;

constexpr std::size_t script_at = 1;  // in a command: its digest or text

const std::string& script_digest() {
  static const std::string digest = net::redis_script_digest(redis_limit_script);
  return digest;
}

std::uint64_t random_start() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

std::string text(std::int64_t value) {
  return fmt::format("{}", value);
}

bool knows_no_script(const RedisReply& reply) {
  return reply.kind == RedisReply::Kind::error && reply.text.starts_with("NOSCRIPT");
}

// The same command with the script's text: Redis keeps it from then on.
Command in_full(Command command) {
  command[0] = "EVAL";
  command[script_at] = redis_limit_script;
  return command;
}

std::int64_t number(const RedisReply& reply, std::size_t index) {
  if (index >= reply.items.size()) throw LedgerAway("its reply is too short");
  const RedisReply& item = reply.items[index];
  if (item.kind == RedisReply::Kind::integer) return item.integer;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(item.text.data(), item.text.data() + item.text.size(), value);
  if (item.kind != RedisReply::Kind::text || error != std::errc() ||
      end != item.text.data() + item.text.size())
    throw LedgerAway("its reply holds something else than numbers");
  return value;
}

Decision read_decision(const RedisReply& reply, const Limits& limits) {
  const auto milliseconds = [&](std::size_t index) {
    return std::chrono::milliseconds(number(reply, index));
  };
  Decision decision;
  if (number(reply, 0) == 0) {
    Refusal refusal{static_cast<LimitKind>(number(reply, 1)), number(reply, 2), number(reply, 3),
                    number(reply, 4), std::nullopt};
    if (number(reply, 5) >= 0) refusal.retry_after = milliseconds(5);
    decision.refusal = refusal;
  }
  decision.ticket.minute_step = number(reply, 6);
  decision.ticket.day_step = number(reply, 7);
  decision.standings.requests = {limits.requests, number(reply, 8), milliseconds(11)};
  decision.standings.tokens = {limits.tokens, number(reply, 9), milliseconds(12)};
  decision.standings.requests_per_day = {limits.requests_per_day, number(reply, 10), milliseconds(13)};
  return decision;
}

}  // namespace

RedisLedger::RedisLedger(net::RedisClient& redis, std::chrono::milliseconds reservation_time,
                         const Clock* clock)
    : redis_(redis), reservation_time_(reservation_time), clock_(clock), next_id_(random_start()) {}

Task<Decision> RedisLedger::reserve(std::string key, const Limits& limits, Amounts amounts) {
  const std::uint64_t id = next_id_.fetch_add(1);
  const Command asking =
      command("reserve", key,
              {fmt::format("{}", id), text(amounts.requests), text(amounts.tokens), text(amounts.images),
               text(amounts.audio_bytes), text(limits.requests), text(limits.tokens), text(limits.images),
               text(limits.audio_bytes), text(limits.requests_per_day), text(unlimited)});
  Decision decision;
  try {
    RedisReply reply = co_await redis_.call(asking);
    if (knows_no_script(reply)) {
      const Command whole = in_full(asking);
      reply = co_await redis_.call(whole);
    }
    if (reply.kind == RedisReply::Kind::error) throw LedgerAway(reply.text);
    decision = read_decision(reply, limits);
  } catch (const net::RedisAway& away) {
    throw LedgerAway(away.what());
  }
  decision.ticket.key = std::move(key);
  decision.ticket.id = id;
  decision.ticket.amounts = amounts;
  co_return decision;
}

void RedisLedger::settle(Ticket ticket, Outcome outcome) {
  const Amounts& amounts = ticket.amounts;
  Command telling =
      command("settle", ticket.key,
              {fmt::format("{}", ticket.id), text(amounts.requests), text(amounts.tokens),
               text(amounts.images), text(amounts.audio_bytes), text(ticket.minute_step),
               text(ticket.day_step), outcome.reached_engine ? "1" : "0", text(outcome.tokens)});
  redis_.send(telling, [&redis = redis_, telling](const RedisReply& reply) {
    if (knows_no_script(reply)) {
      redis.send(in_full(telling), nullptr);
    } else if (reply.kind == RedisReply::Kind::error) {
      log::warn("limits.redis_not_settled", {{"cause", reply.text}});
    }
  });
}

Command RedisLedger::command(std::string_view verb, const std::string& key,
                             std::initializer_list<std::string> arguments) const {
  // The braces keep the four on one node of a cluster.
  const std::string base = fmt::format("hearth:limits:{{{}}}", key);
  Command command{"EVALSHA", script_digest(), "4", base, base + ":minutes", base + ":days", base + ":held"};
  command.emplace_back(verb);
  command.push_back(now());
  command.push_back(text(reservation_time_.count()));
  command.insert(command.end(), arguments);
  return command;
}

std::string RedisLedger::now() const {
  if (!clock_) return "0";
  return text(
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_->steady_now().time_since_epoch()).count());
}

}  // namespace hearth::domain
