"""Requests that are lost on the way."""

from copy import deepcopy
from typing import Any

from .both import Missing, changed, sample, upgraded
from .models import LABELS, deployment, group, pod, service, workload

Manifest = dict[str, Any]
IMAGE = ("spec", "template", "spec", "containers", 0, "image")
ONE_BY_ONE = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def lost(old: Manifest | list[Manifest], new: Manifest | list[Manifest]) -> list[str]:
    """What is lost, each with the object."""
    return [f"{one.manifest.title}: {one.text}" for one in upgraded(old, new).losses]


def rolled(manifest: Manifest) -> Manifest:
    """A workload with another image."""
    return changed(manifest, *IMAGE, to="vllm/vllm-openai:v0.33.1")


class TestPods:
    """Pods that stop."""

    def test_drained(self) -> None:
        """With a drain and a surge, nothing is lost."""
        old = deployment(2, ONE_BY_ONE, drains=True)

        assert [] == lost(old, rolled(old))

    def test_undrained(self) -> None:
        """Without a drain, what runs is lost, at each stop of a pod."""
        old = deployment(2, ONE_BY_ONE)
        more, fewer = deployment(3, ONE_BY_ONE), deployment(1, ONE_BY_ONE)

        (found,) = lost(old, rolled(old))
        assert "no --shutdown-timeout" in found
        assert found.endswith("(P06)")
        assert 1 == len(lost(old, fewer))
        assert [] == lost(old, more)
        (text,) = lost([old], [])
        assert "if it is deleted: no preStop hook" in text

    def test_new_drain(self) -> None:
        """A drain that is new does not help the pods that stop."""
        (found,) = lost(deployment(2, ONE_BY_ONE), rolled(deployment(2, ONE_BY_ONE, drains=True)))

        assert "the pods that stop are the old ones, so the new drain works next time" in found
        assert [] == lost(deployment(2, ONE_BY_ONE, drains=True), rolled(deployment(2, ONE_BY_ONE)))

    def test_grace(self) -> None:
        """A grace period that ends before the drain does."""
        old = deployment(2, ONE_BY_ONE, drains=True)
        old["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30

        (found,) = lost(old, rolled(old))

        assert found.endswith("(P05)")

    def test_down(self) -> None:
        """A time without any pod."""
        one = deployment(1, {"type": "Recreate"}, drains=True)
        three = deployment(3, {"type": "Recreate"}, drains=True)
        last = workload("StatefulSet", pod(drains=True), replicas=1)
        groups = group()

        (found,) = lost(one, rolled(one))
        text = "its only pod stops (Recreate), and none answers until a new one is ready"
        assert f"Deployment llm/qwen: {text}" == found
        assert "all of its pods stop at once (Recreate)" in lost(three, rolled(three))[0]
        assert "its only pod stops (RollingUpdate)" in lost(last, rolled(last))[0]
        assert "its only group stops (RollingUpdate)" in lost(groups, group(size=4))[0]

    def test_paused(self) -> None:
        """Nothing is lost before pods stop."""
        old = deployment(1, {"type": "Recreate"})
        new = rolled(old)
        new["spec"]["paused"] = True

        assert [] == lost(old, new)


class TestServices:
    """Services, which change at once."""

    def test_selector(self) -> None:
        """A selector that only new pods have selects none until one is ready."""
        labels = {**LABELS, "version": "2"}
        old = [deployment(2, ONE_BY_ONE, drains=True), service()]
        new = deepcopy(old)
        new[0]["spec"]["template"]["metadata"]["labels"] = labels
        new[1]["spec"]["selector"] = labels

        (found,) = lost(old, new)
        assert "has no pod yet that the new selector selects: no endpoints" in found
        # The other way round, old pods are selected as well.
        assert [] == lost(new, old)

    def test_refused(self) -> None:
        """A workload that is refused keeps its pods, and the Service loses them."""
        labels = {"app": "qwen-2"}
        old = [deployment(2, ONE_BY_ONE, drains=True), service()]
        new = deepcopy(old)
        new[0]["spec"]["template"]["metadata"]["labels"] = labels
        new[0]["spec"]["selector"]["matchLabels"] = labels
        new[1]["spec"]["selector"] = labels

        (found,) = lost(old, new)

        assert (
            "is refused, so that its pods keep their labels and the Service selects none" in found
        )

    def test_other_pods(self) -> None:
        """Pods of an object that is replaced by another one are not told of."""
        other = changed(deployment(2, drains=True), "metadata", "name", to="other")
        new = [other, service(selector={"app": "other"})]

        found = lost([deployment(2, drains=True), service()], new)

        assert not any("selector" in one for one in found)

    def test_ports(self) -> None:
        """A port that is gone."""
        new = changed(service(), "spec", "ports", 0, "port", to=8080)

        assert ["Service llm/qwen: clients of port 80 are refused"] == lost(service(), new)
        named = changed(service(), "spec", "ports", 0, "name", to="api")
        assert [] == lost(service(), named)

    def test_target(self) -> None:
        """A number of a port that old pods do not have."""
        old = [deployment(2, ONE_BY_ONE, drains=True), service(target=8000)]
        new = [deployment(2, ONE_BY_ONE, drains=True, port=9000), service(target=9000)]

        (found,) = lost(old, new)
        assert "targetPort 9000 is none of the pods that have not rolled yet" in found
        named = [[one[0], service()] for one in (old, new)]
        assert [] == lost(*named)
        # Pods that listen on both, or that do not roll.
        old[0]["spec"]["template"]["spec"]["containers"][0]["ports"].append({"containerPort": 9000})
        assert [] == lost(old, new)
        assert [] == lost([new[0], old[1]], new)

    def test_open(self) -> None:
        """A Service that is not open to the outside any more."""
        old = service(type="LoadBalancer")

        assert "clients outside of the cluster cannot reach it any more" in lost(old, service())[0]
        assert [] == lost(service(), old)
        assert [] == lost(old, service(type="NodePort"))


class TestHosts:
    """Routes and Ingresses."""

    def test_dropped(self) -> None:
        """A host that is gone."""
        for title, path in (("HTTPRoute", ("hostnames", 0)), ("Ingress", ("rules", 0, "host"))):
            old = sample(title)
            (found,) = lost(old, changed(old, "spec", *path, to="other.example.com"))
            assert "clients of llm.example.com get no answer from it any more" in found

    def test_more(self) -> None:
        """Another host is no loss."""
        old = sample("HTTPRoute")

        assert [] == lost(old, sample("HTTPRoute", hostnames=["llm.example.com", "b.example.com"]))


class TestNames:
    """Names by which models are asked for."""

    def served(self, *names: str) -> Manifest:
        """A Deployment that serves a model by names."""
        args = ("--served-model-name", *names) if names else ()
        return deployment(2, ONE_BY_ONE, args=args, drains=True)

    def test_dropped(self) -> None:
        """A name that is gone."""
        (found,) = lost(self.served("a", "b"), self.served("b", "c"))

        assert "clients that ask for the model 'a' get 404, as it is 'b' and 'c' now" in found
        (own,) = lost(self.served(), self.served("qwen"))
        assert "'Qwen/Qwen2.5-7B-Instruct'" in own
        assert [] == lost(self.served("a"), self.served("a", "b"))

    def test_not_known(self) -> None:
        """A name in a variable of somewhere else is not known."""
        old, new = self.served("a"), self.served("$(NAME)")

        assert [] == lost(old, new)

    def test_elsewhere(self) -> None:
        """An engine that is not there any more serves no other name."""
        old = self.served("a")
        new = changed(old, "spec", "template", "spec", "containers", 0, "args", to=Missing)
        new = changed(new, *IMAGE, to="nginx")

        assert [] == lost(old, new)
