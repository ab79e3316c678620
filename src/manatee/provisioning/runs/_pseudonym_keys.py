"""Which keys a run's pseudonyms are made with: the provider's own, or one that several share."""

from __future__ import annotations

from collections.abc import Mapping

from manatee.errors import SettingsError
from manatee.provisioning.pets import ProjectKey, Pseudonym, SharedKey, project_key
from manatee.provisioning.runs._order import Order
from manatee.provisioning.runs._secret import derived


def pseudonym_keys(
    order: Order, secret: bytes, shared: SharedKey | None
) -> Mapping[str, ProjectKey]:
    """Return the keys that the specification names.

    A provider's own differ for each `purpose`. A shared key is good for its project alone: the
    specification must say that project as its purpose, so that a key of one project does not
    link people in another by mistake.

    Raises:
        SettingsError: A shared key of another project, or one that nothing is made with.
    """
    names = {
        treatment.key
        for plan in order.rows.values()
        for treatment in plan.columns.values()
        if isinstance(treatment, Pseudonym)
    }
    if shared is None:
        project = order.spec.purpose or order.contract.name
        root = derived(secret, "pseudonyms")
        return {name: project_key(root, project=project, name=name) for name in names}
    if not names:
        raise SettingsError(
            "a pseudonym key was given, and the specification treats no column with pseudonym.",
            hint="Leave --pseudonym-key out, or treat identifiers: {pseudonym: {key: NAME}}.",
        )
    if order.spec.purpose != shared.project:
        raise SettingsError(
            f"the pseudonym key is of project {shared.project!r}, and the specification's purpose "
            "is another.",
            hint=f"Write `purpose: {shared.project}` if this twin is for that project.",
        )
    return {name: shared.key(name) for name in names}
