"""The base installation alone: a month is played, and what it lacks is answered with its install command."""

import importlib.util

import vpp_env
from vpp_env.errors import EXTRA_OF, MissingExtraError

present = [name for name in EXTRA_OF if importlib.util.find_spec(name) is not None]
assert not present, f"the base installation brings {', '.join(present)}"

month = vpp_env.Month(vpp_env.load_scenario("quick"), 0)
for name in ("idle", "random", "truthful", "auction"):
    kpis = vpp_env.summarize(vpp_env.simulate(month, vpp_env.make_policy(name)))
    print(f"{name}: {kpis['total_profit']:.2f} USD")

scenario = vpp_env.load_scenario("quick").override({"time.start": "2019-08-01T16:00"})
real = vpp_env.Month(scenario, 0, "caiso:PGAE:2019-08")
assert real.series.source["rt"].startswith("measured"), real.series.source

env = vpp_env.parallel_env(scenario="quick", render_mode="rgb_array")
env.reset(seed=0)
while env.agents:
    env.step({agent: env.action_space(agent).sample() for agent in env.agents})

for call in (lambda: vpp_env.make_policy("centralized"), env.render):
    try:
        call()
        said = "nothing"
    except MissingExtraError as error:
        said = str(error)
    assert said.endswith('pip install "vpp-env[bench]"'), said
    print(said)
