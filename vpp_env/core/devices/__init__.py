"""The devices of a home, one file each: parameters, state, what they can do and what they do, by plain arithmetic.

Each NamedTuple of parameters or state is generic: `Battery[Floats]` holds arrays (N,) over the homes, `Battery[float]`
the numbers of one. The functions are of one device and one 15-min step; all power kW at the meter, energy kWh. No
fastmath, no transcendental functions: the bits do not depend on the processor.
"""
