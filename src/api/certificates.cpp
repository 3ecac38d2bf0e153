// /organization/certificates and /organization/projects/{project_id}/certificates: the authorities whose
// clients are admitted.
#include "store/certificates.hpp"

#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "base/api_error.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

using store::CertificateOwner;
using store::CertificateRecord;

enum class Content { hidden, shown };

json::object render(const CertificateRecord& record, std::string_view object, Content content) {
  json::object details{{field::valid_at, record.valid_at}, {field::expires_at, record.expires_at}};
  if (content == Content::shown) details[field::content] = record.content;
  return {{field::object, object},
          {field::id, record.id.str()},
          {field::name, record.name},
          {field::created_at, record.created_at},
          {field::certificate_details, std::move(details)}};
}

json::value render_single(const CertificateRecord& record, Content content = Content::hidden) {
  return render(record, "certificate", content);
}

json::object render_listed(const CertificateRecord& record, const CertificateOwner& owner) {
  json::object rendered =
      render(record, owner.project ? "organization.project.certificate" : "organization.certificate",
             Content::hidden);
  rendered[field::active] = record.active;
  return rendered;
}

CertificateId id_of(const contract::Call& call) {
  return CertificateId(std::string(call.path_string(field::certificate_id)));
}

// The name under which the text was sent: newer SDKs call the content `certificate`.
std::string_view name_of_text(const json::object& body) {
  const bool content = body.contains(field::content);
  const bool certificate = body.contains(field::certificate);
  if (content && certificate) {
    throw ApiError::invalid_request("invalid_value",
                                    "'content' and 'certificate' are two names of the same: send one.",
                                    std::string(field::certificate));
  }
  if (!content && !certificate) {
    throw ApiError::invalid_request("missing_required_parameter", "Missing required parameter: 'content'.",
                                    std::string(field::content));
  }
  return content ? field::content : field::certificate;
}

CertificateOwner organization_of(const contract::Call& call) {
  return {call.principal.organization, std::nullopt};
}

CertificateOwner project_of(const contract::Call& call) {
  return {call.principal.organization, ProjectId(std::string(call.path_string(field::project_id)))};
}

Task<contract::Reply> list(Services& services, const contract::Call& call, CertificateOwner owner) {
  auto page = co_await services.organization.certificates.list(owner, read_page(call.query));
  co_return contract::Reply::of(render_page(
      std::move(page), [&owner](const CertificateRecord& record) { return render_listed(record, owner); }));
}

// Activations and deactivations answer a list that says in its `object` what was done.
contract::Reply switched(const std::vector<CertificateRecord>& records, const CertificateOwner& owner,
                         std::string_view object) {
  json::array data;
  for (const CertificateRecord& record : records)
    data.push_back(render_listed(record, owner));
  json::value list = render_list(std::move(data), false);
  list.get_object()[field::object] = object;
  return contract::Reply::of(std::move(list));
}

std::vector<CertificateId> chosen(contract::Call& call) {
  std::vector<CertificateId> ids;
  for (const json::value& id : call.body_object().at(field::certificate_ids).get_array())
    ids.emplace_back(std::string(json::view(id.get_string())));
  return ids;
}

Task<contract::Reply> activate(Services& services, Call& call, CertificateOwner owner,
                               std::string_view object) {
  const auto records =
      co_await services.organization.certificates.activate(actor_of(call), owner, chosen(call));
  co_return switched(records, owner, object);
}

Task<contract::Reply> deactivate(Services& services, Call& call, CertificateOwner owner,
                                 std::string_view object) {
  const auto records =
      co_await services.organization.certificates.deactivate(actor_of(call), owner, chosen(call));
  co_return switched(records, owner, object);
}

}  // namespace

Task<contract::Reply> list_organization_certificates(Services& services, Call& call) {
  return list(services, call, organization_of(call));
}

Task<contract::Reply> upload_certificate(Services& services, Call& call) {
  const json::object& body = call.body_object();
  const std::string_view param = name_of_text(body);
  auto text = store::read_certificate(*json::find_string(body, param), services.clock.unix_now(), param);
  std::string name(json::find_string(body, field::name).value_or(""));
  const auto made =
      co_await services.organization.certificates.add(actor_of(call), std::move(name), std::move(text));
  co_return contract::Reply::of(render_single(made));
}

Task<contract::Reply> get_certificate(Services& services, Call& call) {
  const auto record =
      co_await services.organization.certificates.get(call.principal.organization, id_of(call));
  const json::array* include = json::find_array(call.query, field::include);
  const bool asked = include && !include->empty();  // `content` is all there is to include
  co_return contract::Reply::of(render_single(record, asked ? Content::shown : Content::hidden));
}

Task<contract::Reply> modify_certificate(Services& services, Call& call) {
  std::string name(*json::find_string(call.body_object(), field::name));
  const auto record =
      co_await services.organization.certificates.rename(actor_of(call), id_of(call), std::move(name));
  co_return contract::Reply::of(render_single(record));
}

Task<contract::Reply> delete_certificate(Services& services, Call& call) {
  const CertificateId id = id_of(call);
  co_await services.organization.certificates.remove(actor_of(call), id);
  co_return contract::Reply::of({{field::object, "certificate.deleted"}, {field::id, id.str()}});
}

Task<contract::Reply> activate_organization_certificates(Services& services, Call& call) {
  return activate(services, call, organization_of(call), "organization.certificate.activation");
}

Task<contract::Reply> deactivate_organization_certificates(Services& services, Call& call) {
  return deactivate(services, call, organization_of(call), "organization.certificate.deactivation");
}

Task<contract::Reply> list_project_certificates(Services& services, Call& call) {
  return list(services, call, project_of(call));
}

Task<contract::Reply> activate_project_certificates(Services& services, Call& call) {
  return activate(services, call, project_of(call), "organization.project.certificate.activation");
}

Task<contract::Reply> deactivate_project_certificates(Services& services, Call& call) {
  return deactivate(services, call, project_of(call), "organization.project.certificate.deactivation");
}

}  // namespace hearth::api
