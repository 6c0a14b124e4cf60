"""What crosses between a world and a policy: bids, views, market rules, the policy protocol and its registry."""
