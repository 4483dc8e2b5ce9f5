"""Uses a router through the official client of the Svix API, as an application would that moves from Svix to it.

Arguments: the router's URL, a key, the URL of a receiver. Every answer is parsed into the client's own models, so a
field that is missing or of another type ends this program. Prints what it did as one line of JSON.
"""

import json
import sys

from svix.api import (
    ApplicationIn,
    ApplicationListOptions,
    ApplicationPatch,
    EndpointHeadersIn,
    EndpointIn,
    EndpointPatch,
    EndpointSecretRotateIn,
    EventTypeIn,
    MessageCreateOptions,
    MessageIn,
    MessageListOptions,
    Svix,
    SvixOptions,
)
from svix.exceptions import HttpError, HTTPValidationError

router, key, receiver = sys.argv[1:]
svix = Svix(key, SvixOptions(server_url=router))


def refused(status, call):
    """The error that this call must end with."""
    try:
        call()
    except (HttpError, HTTPValidationError) as error:
        assert error.status_code == status, error
        return error
    raise AssertionError(f"not refused with {status}")


event_type = svix.event_type.create(EventTypeIn(name="invoice.paid", description="An invoice was paid"))
assert [known.name for known in svix.event_type.list().data] == ["invoice.paid"]
assert svix.event_type.get("invoice.paid").description == event_type.description

application = svix.application.create(ApplicationIn(name="Customer", uid="customer-1"))
assert svix.application.get("customer-1").id == application.id
assert svix.application.get_or_create(ApplicationIn(name="Customer", uid="customer-1")).id == application.id
assert svix.application.patch(application.id, ApplicationPatch(name="Best customer")).name == "Best customer"
svix.application.create(ApplicationIn(name="Other"))
first = svix.application.list(ApplicationListOptions(limit=1))
second = svix.application.list(ApplicationListOptions(limit=1, iterator=first.iterator))
assert not first.done and second.done and first.data[0].id != second.data[0].id

endpoint = svix.endpoint.create("customer-1", EndpointIn(url=receiver, description="Books", event_types=["invoice.paid"]))
assert svix.endpoint.get("customer-1", endpoint.id).url == receiver
assert svix.endpoint.patch("customer-1", endpoint.id, EndpointPatch(description="Ledger")).description == "Ledger"
svix.endpoint.update_headers("customer-1", endpoint.id, EndpointHeadersIn(headers={"x-tenant": "7"}))
assert svix.endpoint.get_headers("customer-1", endpoint.id).headers == {"x-tenant": "7"}
before = svix.endpoint.get_secret("customer-1", endpoint.id).key
svix.endpoint.rotate_secret("customer-1", endpoint.id, EndpointSecretRotateIn())
after = svix.endpoint.get_secret("customer-1", endpoint.id).key
assert before != after

new = MessageIn(event_type="invoice.paid", event_id="invoice-1", payload={"amount": 100})
message = svix.message.create("customer-1", new)
assert svix.message.create("customer-1", new).id == message.id
once = MessageIn(event_type="invoice.paid", payload={"amount": 200})
other = svix.message.create("customer-1", once, MessageCreateOptions(idempotency_key="once"))
assert svix.message.create("customer-1", once, MessageCreateOptions(idempotency_key="once")).id == other.id
payload = svix.message.get("customer-1", message.id).payload
assert payload == {"amount": 100}, payload
listed = svix.message.list("customer-1", MessageListOptions(event_types=["invoice.paid"]))
assert {known.id for known in listed.data} == {message.id, other.id}

refused(404, lambda: svix.application.get("unknown"))
refused(409, lambda: svix.application.create(ApplicationIn(name="Again", uid="customer-1")))
refused(422, lambda: svix.endpoint.create("customer-1", EndpointIn(url="ftp://example.com/")))
refused(401, lambda: Svix("wrong", SvixOptions(server_url=router)).application.list())

attempts = []
while len(attempts) < 2:
    attempts = svix.message_attempt.list_by_endpoint("customer-1", endpoint.id).data
assert {attempt.msg_id for attempt in attempts} == {message.id, other.id}
assert all(attempt.response_status_code == 200 and int(attempt.status) == 0 for attempt in attempts)
[attempt] = svix.message_attempt.list_by_msg("customer-1", message.id).data
assert svix.message_attempt.get("customer-1", message.id, attempt.id).endpoint_id == endpoint.id

svix.endpoint.delete("customer-1", endpoint.id)
assert svix.endpoint.list("customer-1").data == []
svix.application.delete("customer-1")
refused(404, lambda: svix.application.get("customer-1"))
print(json.dumps({"secret": after, "messages": [message.id, other.id]}))
