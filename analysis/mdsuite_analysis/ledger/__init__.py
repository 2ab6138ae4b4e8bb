r"""The energy ledger: what changed the total energy of a run, step by step.

Under velocity Verlet the total energy changes in a step by exactly

.. math:: E_{n+1} - E_n = r_n + T_{n+1} - T_n, \quad
   r_n = U_{n+1} - U_n + \tfrac12 (F_n + F_{n+1}) \cdot \Delta x, \quad
   T_n = \tfrac{\Delta t^2}{8} \sum_i F_{n,i}^2 / m_i .

T telescopes, so a drift is the sum of the residuals r. `residual` adds them up during the run from what the engine has
at hand, `sampling` keeps the few steps that matter most, `split` re-evaluates a kept step and divides its residual
into shares, `estimation` and `attribution` make drift contributions with intervals of them.

r needs positions, energies and forces only. So in any ensemble the residuals, and with them the shares of the model
(energy jumps, non-conservative work) and of the engine, say what the potential put into the system along the straight
paths between successive positions. That the residuals and T make up the change of the total energy, and that the
quadrature share is the integrator's own error, holds for velocity Verlet alone, in a cell that does not change.
"""
