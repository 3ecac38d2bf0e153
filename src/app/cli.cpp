#include "app/cli.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/admin_command.hpp"
#include "app/config_load.hpp"
#include "app/config_print.hpp"
#include "app/db_command.hpp"
#include "app/jobs_command.hpp"
#include "app/models_command.hpp"
#include "app/pull_command.hpp"
#include "app/server.hpp"
#include "app/settings.hpp"
#include "app/worker.hpp"
#include "base/api_error.hpp"
#include "contract/openapi.hpp"

namespace hearth::app {
namespace {

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

// Collects the flags that stand for settings, in the order that makes --set the strongest.
class SettingFlags {
 public:
  void add_to(CLI::App& command) {
    command.add_option("--config", file_, "TOML file with settings")->type_name("FILE");
    add(command, "--data", "data", "DIR");
    command.add_option("--set", assignments_, "Any setting; may be repeated. See hearth config")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
  }
  void add_serving_to(CLI::App& command) {
    command.add_option("--listen", listen_, std::string(find_setting("server.listen")->doc))
        ->type_name("ADDRESS")
        ->allow_extra_args(false);
    add(command, "--bootstrap", "bootstrap", "FILE");
    add(command, "--log-format", "log.format", "console|json");
  }

  ConfigSources sources() const {
    ConfigSources sources{.environment = process_environment(),
                          .working_directory = std::filesystem::current_path().string()};
    if (!file_.empty()) sources.file = file_;
    if (!listen_.empty()) {
      sources.flags.push_back({"--listen", "server.listen", fmt::format("{}", fmt::join(listen_, ","))});
    }
    for (const auto& [flag, named] : named_) {
      if (named.option->count() > 0) sources.flags.push_back({flag, named.setting, named.value});
    }
    for (const std::string& assignment : assignments_) {
      const std::size_t equals = assignment.find('=');
      if (equals == std::string::npos) {
        throw ConfigError(fmt::format("--set: expected NAME=VALUE, not \"{}\"", assignment));
      }
      sources.flags.push_back({"--set", assignment.substr(0, equals), assignment.substr(equals + 1)});
    }
    return sources;
  }
  Config config() const { return load_config(sources()).config; }

 private:
  struct Named {
    CLI::Option* option;
    std::string setting;
    std::string value;
  };

  void add(CLI::App& command, const std::string& flag, std::string setting, const std::string& type) {
    Named& named = named_[flag];  // a map's elements stay where they are
    named.setting = std::move(setting);
    named.option =
        command.add_option(flag, named.value, std::string(find_setting(named.setting)->doc))->type_name(type);
  }

  std::string file_;
  std::vector<std::string> listen_;
  std::vector<std::string> assignments_;
  std::map<std::string, Named> named_;
};

// One flag for each setting of a model: --file, --base-urls, …
class ModelFlags {
 public:
  // `origin`: the caller cannot choose where the model runs.
  enum class Skip { nothing, origin };

  void add_to(CLI::App& command, Skip skip) {
    for (const Setting& setting : model_settings()) {
      if (skip == Skip::origin && is_origin(setting.name)) continue;
      std::string flag = "--" + std::string(setting.name);
      std::ranges::replace(flag, '_', '-');
      std::string& value = values_[std::string(setting.name)];
      command.add_option(flag, value, std::string(setting.doc))->type_name(type_name(setting.form));
    }
    command.add_flag("--replace", replace_, "Replace a registered model of this name");
  }

  std::map<std::string, std::string> values() const {
    std::map<std::string, std::string> given = values_;
    std::erase_if(given, [](const auto& entry) { return entry.second.empty(); });
    return given;
  }
  OnConflict on_conflict() const { return replace_ ? OnConflict::replace : OnConflict::refuse; }

 private:
  static bool is_origin(std::string_view name) {
    constexpr std::array<std::string_view, 6> names{"file",        "base_urls", "api_key",
                                                    "api_key_env", "model",     "timeout"};
    return std::ranges::find(names, name) != names.end();
  }
  static std::string type_name(Form form) {
    switch (form) {
      case Form::integer:
      case Form::decimal:
        return "NUMBER";
      case Form::size:
        return "SIZE";
      case Form::duration:
        return "DURATION";
      case Form::path:
        return "FILE";
      case Form::list:
        return "A,B,..";
      default:
        return "TEXT";
    }
  }

  std::map<std::string, std::string> values_;
  bool replace_ = false;
};

// The keys of a first start are shown if they would be lost otherwise.
Welcome welcome_for(const Config& config, bool wanted) {
  const bool shown = wanted || config.bootstrap.empty() || ::isatty(STDOUT_FILENO) == 1;
  return shown ? Welcome::print : Welcome::silent;
}

// The commands and what their options fill; parse() runs the callback of the command that was given.
class CommandLine {
 public:
  CommandLine() : root_("Hearth answers the OpenAI REST API from one program.", "hearth") {
    root_.require_subcommand(1);
    root_.set_version_flag("--version", version());
    root_.footer("Exit status: 0 done, 1 failed, 2 wrong usage or configuration.");
    add_serve();
    add_worker();
    add_config();
    add_models();
    add_db();
    add_admin();
    add_jobs();
    root_.add_subcommand("openapi", "Print the OpenAPI document that is served")->callback([] {
      const std::string_view document = contract::openapi_json();
      fmt::print("{}\n", document);
    });
    root_.add_subcommand("version", "Print the version")->callback([] { fmt::print("{}\n", version()); });
  }

  int run(int argc, const char* const* argv) {
    root_.parse(argc, argv);
    return status_;
  }
  // For --help and --version, which CLI11 treats as errors of status 0.
  int answer(const CLI::ParseError& error) const { return root_.exit(error); }

 private:
  static std::string version() { return "hearth " HEARTH_VERSION; }

  CLI::App& add(CLI::App& parent, const std::string& name, const std::string& about) {
    CLI::App& command = *parent.add_subcommand(name, about);
    flags_.emplace_back(std::make_unique<SettingFlags>())->add_to(command);
    return command;
  }
  SettingFlags& flags_of_last() { return *flags_.back(); }

  void add_serve() {
    CLI::App& serve = add(root_, "serve", "Run the server until SIGTERM or SIGINT");
    SettingFlags& flags = flags_of_last();
    flags.add_serving_to(serve);
    serve.add_flag(
        "--welcome", welcome_,
        "Print the keys of a first start and an example to standard output, also with --bootstrap");
    serve.callback([this, &flags] {
      const Config config = flags.config();
      log::configure(config.log.level, config.log.format);
      status_ = Server(config, welcome_for(config, welcome_)).run();
    });
  }

  void add_worker() {
    CLI::App& worker =
        add(root_, "worker",
            "Run background jobs until SIGTERM or SIGINT, beside the servers of the same database");
    worker.callback([&flags = flags_of_last()] {
      const Config config = flags.config();
      log::configure(config.log.level, config.log.format);
      run_worker(config);
    });
  }

  void add_config() {
    CLI::App& config = add(root_, "config", "Print every setting, its value and the source of the value");
    SettingFlags& flags = flags_of_last();
    flags.add_serving_to(config);
    config.add_flag("--markdown", markdown_, "Print the reference of all settings instead");
    config.callback([this, &flags] {
      fmt::print("{}", markdown_ ? render_config_reference() : render_config(load_config(flags.sources())));
    });
  }

  void add_models() {
    CLI::App& models = *root_.add_subcommand(
        "models", "Manage the models; works while a server is running, which sees the change");
    models.require_subcommand(1);

    CLI::App& list = add(models, "list", "List all models and aliases");
    list.callback([&flags = flags_of_last()] { list_models(flags.config()); });

    CLI::App& show = add(models, "show", "Show one model and what its file says");
    add_name(show);
    show.callback([this, &flags = flags_of_last()] { show_model(flags.config(), name_); });

    CLI::App& add_command = add(models, "add", "Register a GGUF file (--file) or an upstream (--base-urls)");
    add_name(add_command);
    added_.add_to(add_command, ModelFlags::Skip::nothing);
    add_command.callback([this, &flags = flags_of_last()] {
      add_model(flags.sources(), name_, added_.values(), added_.on_conflict());
    });

    CLI::App& pull = add(models, "pull", "Fetch a GGUF file into the cache, resuming, and register it");
    pull.add_option("SOURCE", pull_.source, "hf:ORG/REPO/FILE.gguf; the file may lie in folders")->required();
    pull.add_option("--name", pull_.name, "Name of the model; default: the name of the file")
        ->type_name("TEXT");
    pull.add_option("--sha256", pull_.sha256, "Expected digest of the file; default: what the hub says")
        ->type_name("HEX");
    pulled_.add_to(pull, ModelFlags::Skip::origin);
    pull.callback([this, &flags = flags_of_last()] {
      pull_.settings = pulled_.values();
      pull_.on_conflict = pulled_.on_conflict();
      pull_model(flags.sources(), pull_);
    });

    CLI::App& remove = add(models, "remove", "Forget a registered model; its file stays");
    add_name(remove);
    remove.callback([this, &flags = flags_of_last()] { remove_model(flags.config(), name_); });

    add_alias(models);
  }

  void add_db() {
    CLI::App& db = *root_.add_subcommand("db", "Commands for the whole database");
    db.require_subcommand(1);
    CLI::App& copy = *db.add_subcommand(
        "copy", "Copy an installation into an empty database, verified row by row; stop its servers first");
    copy.add_option("--from", copy_.from, "sqlite:PATH or postgresql://USER:PASSWORD@HOST/DATABASE")
        ->required()
        ->type_name("DATABASE");
    copy.add_option("--to", copy_.to, "An empty database, in the same form")
        ->required()
        ->type_name("DATABASE");
    copy.callback([this] { copy_database(copy_); });
  }

  void add_alias(CLI::App& models) {
    CLI::App& alias = add(models, "alias", "Give a model a further name: hearth models alias gpt-4o tiny");
    alias.add_option("NAME", name_, "The further name; without it, all aliases are listed");
    CLI::Option* target = alias.add_option("TARGET", target_, "A model, or another alias");
    alias.add_flag("--remove", remove_, "Forget the alias NAME")->excludes(target);
    alias.callback([this, &flags = flags_of_last()] {
      const Config config = flags.config();
      if (name_.empty() && !remove_) return list_aliases(config);
      if (name_.empty() || (target_.empty() && !remove_)) {
        throw ConfigError("models alias: expected NAME TARGET, or NAME --remove");
      }
      if (remove_) return remove_alias(config, name_);
      set_alias(config, name_, target_);
    });
  }

  void add_admin() {
    CLI::App& admin = *root_.add_subcommand(
        "admin",
        "Manage people and keys, and restore access; works while a server is running, which sees the change");
    admin.require_subcommand(1);
    add_people(admin);
    add_keys(admin);
    add(admin, "users", "List all users").callback([&flags = flags_of_last()] {
      list_users(flags.config());
    });
    add(admin, "projects", "List all projects").callback([&flags = flags_of_last()] {
      list_projects(flags.config());
    });
    add(admin, "keys", "List all valid keys").callback([&flags = flags_of_last()] {
      list_keys(flags.config());
    });
  }

  void add_people(CLI::App& admin) {
    CLI::App& owner = add(admin, "create-owner", "Add a user who may change everything (an owner)");
    add_email(owner);
    add_person_name(owner);
    add_password(owner);
    owner.callback([this, &flags = flags_of_last()] { create_owner(flags.config(), admin_request()); });

    CLI::App& user = add(admin, "add-user", "Add a user without an invitation");
    add_email(user);
    add_person_name(user);
    add_password(user);
    user.add_option("--role", admin_.role, "Role in the organization")->type_name("owner|reader");
    user.add_option("--project", admin_.projects,
                    "Project that the user joins, as ID or ID:owner; may be repeated")
        ->type_name("ID:ROLE")
        ->allow_extra_args(false);
    user.callback([this, &flags = flags_of_last()] { add_user(flags.config(), admin_request()); });

    CLI::App& link =
        add(admin, "invite-link", "Print a new link for a pending invite; older ones stop working");
    add_email(link);
    link.callback([this, &flags = flags_of_last()] { print_invite_link(flags.config(), admin_.email); });

    CLI::App& accept = add(admin, "accept-invite", "Accept a pending invite for a person");
    add_email(accept);
    add_password(accept);
    add_person_name(accept).required();
    accept.callback([this, &flags = flags_of_last()] { accept_invite(flags.config(), admin_request()); });

    CLI::App& reset = add(admin, "reset-password", "Set a new password, or print a link to choose one");
    add_email(reset);
    add_password(reset);
    reset.callback([this, &flags = flags_of_last()] { reset_password(flags.config(), admin_request()); });
  }

  void add_keys(CLI::App& admin) {
    CLI::App& mint = add(admin, "mint-key", "Print a new key, for example when all keys are lost");
    CLI::Option* project = mint.add_option("--project", project_, "A key of this project")->type_name("ID");
    mint.add_flag("--admin", admin_key_, "A key that administers the organization")->excludes(project);
    mint.add_option("--name", admin_.name, "Name of the key")->type_name("TEXT")->required();
    mint.add_option("--user", admin_.email, "Owner of the key; default: a service account")
        ->type_name("EMAIL");
    mint.callback([this, &flags = flags_of_last()] {
      if (project_.empty() && !admin_key_)
        throw ConfigError("admin mint-key: expected --admin or --project ID");
      mint_key(flags.config(), project_, admin_.name, admin_.email);
    });

    CLI::App& budget = add(admin, "budget", "Set what a project may spend in a month");
    budget.add_option("PROJECT", project_, "Id of the project")->required();
    budget
        .add_option("AMOUNT", amount_,
                    "In the currency of the prices; none: no limit; default: as configured")
        ->required();
    budget.callback([this, &flags = flags_of_last()] { set_budget(flags.config(), project_, amount_); });

    CLI::App& certificates = *admin.add_subcommand("certificates", "Client certificates");
    certificates.require_subcommand(1);
    add(certificates, "deactivate-all", "Stop requiring client certificates, when nobody can get in any more")
        .callback([&flags = flags_of_last()] { deactivate_certificates(flags.config()); });
  }

  void add_jobs() {
    CLI::App& jobs = *root_.add_subcommand(
        "jobs", "The background's jobs; works beside a running server, which sees the change");
    jobs.require_subcommand(1);
    CLI::App& list = add(jobs, "list", "The newest first");
    list.add_option("--kind", listed_.kind, "Only those of this kind")->type_name("TEXT");
    list.add_option("--state", listed_.state, "Only queued, running, succeeded, failed or cancelled ones")
        ->type_name("STATE");
    list.add_option("--limit", listed_.limit, "At the most; 50 when left out")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 10'000));
    list.callback([this, &flags = flags_of_last()] { list_jobs(flags.config(), listed_); });

    const auto add_one = [&](const std::string& name, const std::string& about,
                             void (*command)(const Config&, const std::string&)) {
      CLI::App& one = add(jobs, name, about);
      one.add_option("ID", name_, "Id of the job")->required();
      one.callback([this, command, &flags = flags_of_last()] { command(flags.config(), name_); });
    };
    add_one("show", "Everything about one job", show_job);
    add_one("cancel", "End a job; what it has written stays", cancel_job);
    add_one("retry", "Run a job again that failed or was cancelled, from where it was", retry_job);
  }

  void add_email(CLI::App& command) {
    command.add_option("EMAIL", admin_.email, "Email address of the person")->required();
  }
  CLI::Option& add_person_name(CLI::App& command) {
    return *command.add_option("--name", admin_.name, "Name of the person")->type_name("TEXT");
  }
  void add_password(CLI::App& command) {
    CLI::Option* from_input = command.add_flag("--password-stdin", password_stdin_,
                                               "Read the password from the first line of standard input");
    command.add_flag("--link", password_link_, "Print a one-time link instead of asking for a password")
        ->excludes(from_input);
  }
  AdminRequest admin_request() const {
    AdminRequest request = admin_;
    if (password_stdin_) request.password = PasswordSource::standard_input;
    if (password_link_) request.password = PasswordSource::link;
    return request;
  }

  void add_name(CLI::App& command) { command.add_option("NAME", name_, "Name of the model")->required(); }

  CLI::App root_;
  std::vector<std::unique_ptr<SettingFlags>> flags_;  // callbacks hold references to them
  ModelFlags added_;
  ModelFlags pulled_;
  std::string name_;
  PullRequest pull_;
  CopyRequest copy_;
  std::string target_;
  AdminRequest admin_;
  ListJobs listed_;
  std::string project_;
  std::string amount_;
  bool admin_key_ = false;
  bool password_stdin_ = false;
  bool password_link_ = false;
  bool welcome_ = false;
  bool markdown_ = false;
  bool remove_ = false;
  int status_ = 0;
};

int fail(int status, std::string_view message) {
  fmt::print(stderr, "hearth: {}\n", message);
  return status;
}

}  // namespace

int run_cli(int argc, const char* const* argv) {
  // Commands speak for themselves; `serve` sets what its configuration says.
  log::configure(log::Level::warn, log::Format::console);
  try {
    CommandLine command_line;
    try {
      return command_line.run(argc, argv);
    } catch (const CLI::Success& success) {
      return command_line.answer(success);
    }
  } catch (const CLI::ParseError& error) {
    return fail(exit_usage, fmt::format("{} (see hearth --help)", error.what()));
  } catch (const ConfigError& error) {
    return fail(exit_usage, error.what());
  } catch (const ApiError& error) {
    return fail(exit_failure, error.message());
  } catch (const std::exception& error) {
    return fail(exit_failure, error.what());
  }
}

}  // namespace hearth::app
