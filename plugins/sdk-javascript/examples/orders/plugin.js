import { defineSource, reject, reply } from "@hookmill/plugin/source";

export const source = defineSource((request, origin) => {
  const posted = request.json();
  if (posted.challenge !== undefined) return reply({ status: 200, body: posted.challenge });
  if (!Array.isArray(posted.orders)) reject("there is no list of orders");
  return posted.orders.map((order) => ({
    type: `order.${order.state}`,
    uid: `${origin.name}-${order.id}`,
    channels: origin.settings.channels,
    body: order,
  }));
});
