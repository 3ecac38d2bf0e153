#include "app/config_check.hpp"

#include <algorithm>
#include <map>

#include <boost/url/parse.hpp>
#include <fmt/format.h>

#include "app/config_file.hpp"
#include "app/config_load.hpp"
#include "app/quantities.hpp"
#include "db/postgres.hpp"
#include "net/http_client.hpp"
#include "net/mail.hpp"
#include "net/redis_client.hpp"

namespace hearth::app {
namespace {

// What the client connects to, and a path that can stand in a request.
bool is_base_url(std::string_view text) {
  return net::Origin::parse(text) && (text.starts_with("unix:") || boost::urls::parse_uri(text));
}

bool is_origin(std::string_view text) {
  if (text == "*") return true;
  const auto url = boost::urls::parse_uri(text);
  return url && !url->host().empty() && url->path().empty() && !url->has_query() && !url->has_fragment();
}

bool is_currency(std::string_view text) {
  return text.size() == 3 && std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

class Checker {
 public:
  Checker(const Config& config, const Places& places) : config_(config), places_(places) {}

  void check() const {
    check_server();
    const std::string& public_url = config_.server.public_url;
    if (!public_url.empty() && (!is_base_url(public_url) || public_url.starts_with("unix:"))) {
      fail("server.public_url", fmt::format("expected an http or https URL, not \"{}\"", public_url));
    }
    if (!config_.database.url.empty()) {
      if (const auto fault = db::find_url_fault(config_.database.url)) fail("database.url", *fault);
    }
    if (!is_base_url(config_.pull.endpoint)) {
      fail("pull.endpoint", fmt::format("expected an http or https URL, not \"{}\"", config_.pull.endpoint));
    }
    if (!is_currency(config_.costs.currency)) {
      fail("costs.currency",
           fmt::format("expected a code such as \"usd\", not \"{}\"", config_.costs.currency));
    }
    const std::string& redis = config_.limits.redis_url;
    if (!redis.empty() && !net::RedisAddress::parse(redis)) {
      fail("limits.redis_url",
           "expected redis://[USER:PASSWORD@]HOST[:PORT][/DB] or redis+unix://[USER:PASSWORD@]/PATH[?db=DB]");
    }
    check_smtp();
    if (config_.jobs.heartbeat * 3 > config_.jobs.lease_time)
      fail("jobs.heartbeat", "expected a third of jobs.lease_time at the most");
    for (const auto& [name, model] : config_.models)
      check_model(model_table_name(name), model);
    check_aliases();
  }

 private:
  [[noreturn]] void fail(const std::string& name, std::string_view message) const {
    const auto place = places_.find(name);
    throw ConfigError(
        fmt::format("{}{}: {}", place == places_.end() ? std::string() : place->second, name, message));
  }

  void check_server() const {
    if (config_.server.listen.empty()) fail("server.listen", "expected at least one address");
    for (const std::string& address : config_.server.listen) {
      if (is_listen_address(address)) continue;
      fail("server.listen",
           fmt::format("expected HOST:PORT, [IPV6]:PORT or unix:/PATH, not \"{}\"", address));
    }
    const net::TlsOptions& tls = config_.server.tls;
    if (tls.certificate_file.empty() && !tls.key_file.empty()) {
      fail("server.tls_key", "needs server.tls_certificate too");
    }
    if (!tls.certificate_file.empty() && tls.key_file.empty()) {
      fail("server.tls_certificate", "needs server.tls_key too");
    }
    for (const std::string& origin : config_.server.cors_origins) {
      if (is_origin(origin)) continue;
      fail("server.cors_origins",
           fmt::format("expected origins such as \"https://app.example.com\", or \"*\", not \"{}\"", origin));
    }
  }

  void check_smtp() const {
    const Config::Smtp& smtp = config_.smtp;
    if (smtp.url.empty()) return;
    const auto url = boost::urls::parse_uri(smtp.url);
    if (!url || (url->scheme() != "smtp" && url->scheme() != "smtps") || url->host().empty() ||
        url->has_userinfo()) {
      fail("smtp.url", fmt::format("expected smtp://HOST:PORT or smtps://HOST:PORT, not \"{}\"", smtp.url));
    }
    if (!net::is_mail_address(net::mail_address_of(smtp.from)))
      fail("smtp.from", "smtp.url needs a mail address here");
    if (!smtp.password.empty() && smtp.user.empty()) fail("smtp.user", "smtp.password needs it");
  }

  void check_model(const std::string& table, const ModelConfig& model) const {
    const bool local = !model.file.empty();
    if (local == !model.base_urls.empty()) fail(table, "set either file or base_urls");
    if (!model.api_key.empty() && !model.api_key_env.empty()) {
      fail(table, "set api_key or api_key_env, not both");
    }
    if (!model.chat_template.empty() && !model.chat_template_file.empty()) {
      fail(table, "set chat_template or chat_template_file, not both");
    }
    if (local && (!model.api_key.empty() || !model.api_key_env.empty() || !model.model.empty())) {
      fail(table, "api_key, api_key_env and model are for models with base_urls");
    }
    const bool has_engine_settings = !model.projector.empty() || model.context != 0 || model.slots != 0 ||
                                     model.threads != 0 || !model.chat_template.empty() ||
                                     !model.chat_template_file.empty() || !model.arguments.empty() ||
                                     model.memory != 0;
    if (!local && has_engine_settings) {
      fail(table,
           "projector, context, slots, threads, chat_template, chat_template_file, arguments and memory are "
           "for "
           "models with a file");
    }
    for (const std::string& url : model.base_urls) {
      if (is_base_url(url)) continue;
      fail(table + ".base_urls",
           fmt::format("expected URLs such as \"http://host:8000/v1\", not \"{}\"", url));
    }
  }

  void check_aliases() const {
    std::map<std::string, std::string> targets;
    for (const engine::Alias& alias : configured_aliases(config_)) {
      const std::string name = alias_setting_name(alias.name);
      if (config_.models.contains(alias.name)) fail(name, "a model has this name");
      const auto [known, is_new] = targets.emplace(alias.name, alias.target);
      if (!is_new) fail(name, fmt::format("names both {} and {}", known->second, alias.target));
    }
  }

  const Config& config_;
  const Places& places_;
};

}  // namespace

bool is_listen_address(std::string_view text) {
  if (text.starts_with("unix:")) return text.size() > 6 && text[5] == '/';
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const auto port = parse_whole_number(text.substr(colon + 1));
  if (!port || *port > 65'535) return false;
  if (host.starts_with('[')) return host.size() > 2 && host.ends_with(']');
  return host.find(':') == std::string_view::npos;
}

void check_config(const Config& config, const Places& places) {
  Checker(config, places).check();
}

}  // namespace hearth::app
