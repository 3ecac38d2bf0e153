// /organization/certificates and /organization/projects/{project_id}/certificates: the authorities whose
// clients are admitted.
#include "store/certificates.hpp"

#include <fmt/format.h>

#include "api/administration.hpp"
#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/refusals.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

using store::Activation;
using store::CertificateOwner;
using store::CertificateRecord;

json::object render(const CertificateRecord& record, std::string_view object = "certificate") {
  return {{field::object, object},
          {field::id, record.id.str()},
          {field::name, record.name},
          {field::created_at, record.created_at},
          {field::certificate_details,
           {{field::valid_at, record.valid_at}, {field::expires_at, record.expires_at}}}};
}

json::array render_listed(const std::vector<CertificateRecord>& records, const CertificateOwner& owner) {
  const std::string_view object =
      owner.project ? "organization.project.certificate" : "organization.certificate";
  json::array data;
  for (const CertificateRecord& record : records)
    data.emplace_back(render(record, object)).get_object()[field::active] = record.active;
  return data;
}

// The name under which the text was sent: newer SDKs call the content `certificate`.
std::string_view name_of_text(const json::object& body) {
  return body.contains(field::content) ? field::content : field::certificate;
}

// The project of the path; without one the organization.
CertificateOwner owner_of(const contract::Call& call) {
  if (!call.path.contains(field::project_id)) return {call.principal.organization, std::nullopt};
  return {call.principal.organization, read_id<ProjectId>(call, field::project_id)};
}

// Answers a list that says in its `object` what was done.
Task<contract::Reply> set_active(Services& services, Call& call, Activation wanted) {
  const CertificateOwner owner = owner_of(call);
  auto ids = read_ids<CertificateId>(call.body_object(), field::certificate_ids);
  const auto changed = accept(
      co_await services.organization.certificates.set_active(actor_of(call), owner, std::move(ids), wanted));
  json::value list = render_list(render_listed(changed, owner), false);
  list.get_object()[field::object] =
      fmt::format("organization.{}certificate.{}", owner.project ? "project." : "",
                  wanted == Activation::active ? "activation" : "deactivation");
  co_return contract::Reply::of(std::move(list));
}

}  // namespace

Task<contract::Reply> list_organization_certificates(Services& services, Call& call) {
  const CertificateOwner owner = owner_of(call);
  const auto page = accept(co_await services.organization.certificates.list(owner, read_page(call.query)));
  co_return contract::Reply::of(render_list(render_listed(page.items, owner), page.has_more));
}

Task<contract::Reply> upload_certificate(Services& services, Call& call) {
  const json::object& body = call.body_object();
  const std::string param(name_of_text(body));
  auto text = store::read_certificate(*json::find_string(body, param), services.clock.unix_now(), param);
  std::string name(json::find_string(body, field::name).value_or(""));
  co_return contract::Reply::of(render(accept(
      co_await services.organization.certificates.add(actor_of(call), std::move(name), std::move(text)),
      param)));
}

Task<contract::Reply> get_certificate(Services& services, Call& call) {
  const auto record = accept(co_await services.organization.certificates.get(
      call.principal.organization, read_id<CertificateId>(call, field::certificate_id)));
  json::object rendered = render(record);
  if (!read_texts(call.query, field::include).empty())  // `content` is all there is to include
    rendered[field::certificate_details].get_object()[field::content] = record.content;
  co_return contract::Reply::of(std::move(rendered));
}

Task<contract::Reply> modify_certificate(Services& services, Call& call) {
  co_return contract::Reply::of(render(accept(co_await services.organization.certificates.rename(
      actor_of(call), read_id<CertificateId>(call, field::certificate_id), read_name(call.body_object())))));
}

Task<contract::Reply> delete_certificate(Services& services, Call& call) {
  const auto id = read_id<CertificateId>(call, field::certificate_id);
  accept(co_await services.organization.certificates.remove(actor_of(call), id));
  co_return contract::Reply::of({{field::object, "certificate.deleted"}, {field::id, id.str()}});
}

Task<contract::Reply> activate_organization_certificates(Services& services, Call& call) {
  return set_active(services, call, Activation::active);
}

Task<contract::Reply> deactivate_organization_certificates(Services& services, Call& call) {
  return set_active(services, call, Activation::inactive);
}

Task<contract::Reply> list_project_certificates(Services& services, Call& call) {
  return list_organization_certificates(services, call);  // which sees whose path it is
}

Task<contract::Reply> activate_project_certificates(Services& services, Call& call) {
  return set_active(services, call, Activation::active);
}

Task<contract::Reply> deactivate_project_certificates(Services& services, Call& call) {
  return set_active(services, call, Activation::inactive);
}

}  // namespace hearth::api
