#include "contract/router.hpp"

#include <algorithm>

#include "contract/percent.hpp"

namespace hearth::contract {
namespace {

constexpr std::size_t deepest_route = 16;

struct Search {
  const OperationTables& tables;
  std::vector<std::string_view> raw_values;

  // The node at the end of `path`, which is empty or starts with '/'; nullptr when there is none with
  // methods.
  const RouteNode* find(std::size_t index, std::string_view path, std::size_t depth) {
    const RouteNode& node = tables.routes[index];
    if (path.empty()) return node.method_count > 0 ? &node : nullptr;
    if (depth == deepest_route) return nullptr;
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(1, end - 1);
    const auto children = tables.route_children.subspan(node.first_child, node.child_count);
    const auto child = std::ranges::lower_bound(children, segment, {}, &RouteChild::text);
    if (child != children.end() && child->text == segment) {
      if (const RouteNode* found = find(child->node, path.substr(end), depth + 1)) return found;
    }
    if (node.param_child == no_node || segment.empty()) return nullptr;
    raw_values.push_back(segment);
    if (const RouteNode* found = find(node.param_child, path.substr(end), depth + 1)) return found;
    const RouteNode& parameter = tables.routes[node.param_child];
    if (parameter.takes_rest && !path.ends_with('/')) {
      raw_values.back() = path.substr(1);
      return &parameter;
    }
    raw_values.pop_back();
    return nullptr;
  }
};

}  // namespace

RouteResult route(std::string_view method, std::string_view path) {
  return route(generated_operations, method, path);
}

RouteResult route(const OperationTables& tables, std::string_view method, std::string_view path) {
  if (!path.starts_with('/')) return RouteNotFound{};
  Search search{tables, {}};
  const RouteNode* node = search.find(0, path, 0);
  if (node == nullptr) return RouteNotFound{};
  const std::string_view wanted = method == "HEAD" ? std::string_view("GET") : method;
  const auto methods = tables.route_methods.subspan(node->first_method, node->method_count);
  const auto entry = std::ranges::find(methods, wanted, &RouteMethod::method);
  if (entry == methods.end()) {
    MethodNotAllowed refused;
    for (const RouteMethod& known : methods) {
      refused.allowed.push_back(known.method);
      if (known.method == "GET") refused.allowed.emplace_back("HEAD");
    }
    return refused;
  }
  Route result{&tables.operations[static_cast<std::size_t>(entry->operation)], {}};
  result.path_values.reserve(search.raw_values.size());
  for (std::string_view raw : search.raw_values) {
    auto decoded = percent_decode(raw, Plus::literal);
    if (!decoded) return RouteNotFound{};
    result.path_values.push_back(std::move(*decoded));
  }
  return result;
}

std::span<const Operation> operations() {
  return generated_operations.operations;
}

const Operation& operation(OperationId id) {
  return operations()[static_cast<std::size_t>(id)];
}

const ReplyForm* find_reply_form(const Operation& operation, int status) {
  const auto found = std::ranges::find(operation.replies, status, &ReplyForm::status);
  return found != operation.replies.end() ? &*found : nullptr;
}

bool answers_bytes(const Operation& operation, int status, std::string_view content_type) {
  std::string_view media = content_type.substr(0, content_type.find(';'));
  while (media.ends_with(' '))
    media.remove_suffix(1);
  return std::ranges::any_of(operation.replies, [&](const ReplyForm& form) {
    if (form.status != status) return false;
    if (form.kind == ReplyKind::text) return media == "text/plain";
    const bool listed = form.media.empty() || std::ranges::find(form.media, media) != form.media.end();
    return form.kind == ReplyKind::bytes && listed;
  });
}

const EventForm* find_event_form(std::span<const EventForm> forms, std::string_view event) {
  const auto found = std::ranges::find(forms, event, &EventForm::name);
  return found != forms.end() ? &*found : nullptr;
}

}  // namespace hearth::contract
