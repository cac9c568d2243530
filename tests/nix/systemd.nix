# What NixOS makes unit files of, as far as it matters to a gate.
{ lib }:
let
  sectionOf =
    settings:
    builtins.concatStringsSep "" (
      builtins.concatLists (
        lib.mapAttrsToList (key: value: map (one: "${key}=${written one}\n") (lib.toList value)) settings
      )
    );
  written =
    value: if builtins.isBool value then if value then "true" else "false" else toString value;
  variables =
    service:
    builtins.concatStringsSep "" (
      lib.mapAttrsToList (name: value: "Environment=${builtins.toJSON "${name}=${value}"}\n") service.environment
    );
in
{
  serviceToUnit = service: {
    inherit (service)
      name
      enable
      overrideStrategy
      wantedBy
      requiredBy
      ;
    text =
      "[Unit]\n${sectionOf service.unitConfig}\n[Service]\n${variables service}"
      + (if service.restartIfChanged then "" else "X-RestartIfChanged=false\n")
      + sectionOf service.serviceConfig;
  };
  timerToUnit = name: timer: {
    name = "${name}.timer";
    wantedBy = timer.wantedBy or [ ];
    overrideStrategy = timer.overrideStrategy or "asDropinIfExists";
    text = "[Timer]\n${sectionOf (timer.timerConfig or { })}";
  };
  socketToUnit = name: socket: {
    name = "${name}.socket";
    text = "[Socket]\n${sectionOf { ListenStream = socket.listenStreams or [ ]; }}";
  };
  # the text is what matters; the units are put into a directory by tests/nix/table
  generateUnits = arguments: builtins.toJSON (builtins.attrNames arguments.units);
}
