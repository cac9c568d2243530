# Gates other modules' services: [Service] and the dependencies of each as its mode wants them, and what is wrong with a gate.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkBefore
    mkDefault
    mkIf
    mkMerge
    mkOption
    types
    ;

  cfg = config.services.upgrade-gate;
  program = "${cfg.package}/bin/upgrade-gate";

  # what autoUpgrade and fwupdRefresh gate, and units
  gated = lib.optionalAttrs cfg.enable (
    cfg.units
    // lib.optionalAttrs cfg.autoUpgrade.enable { nixos-upgrade = run "nixos-upgrade"; }
    // lib.optionalAttrs cfg.fwupdRefresh.enable { fwupd-refresh = run "fwupd-refresh"; }
  );
  run = profile: {
    mode = "run";
    inherit profile;
  };

  # An ExecStart= line behind `upgrade-gate run`: systemd.service(5)'s prefixes stay in front, and the argv[0] that `@` gives is
  # handed on.
  wrap =
    profile: line:
    let
      parts = builtins.match "[ \t]*([-@:+!|]*)(.*)" (toString line);
      prefixes = builtins.elemAt parts 0;
      command = builtins.elemAt parts 1;
      word = ''("[^"]*"|'[^']*'|[^ ]+)'';
      named = builtins.match "${word} +${word}(.*)" command;
      inherited =
        if lib.hasInfix "@" prefixes && named != null then
          "--argv0 ${builtins.elemAt named 1} -- ${builtins.elemAt named 0}${builtins.elemAt named 2}"
        else
          "-- ${command}";
    in
    "${builtins.replaceStrings [ "@" ] [ "" ] prefixes}${program} run --profile ${profile} ${lib.trim inherited}";

  # NixOS and packages reset a list with an empty line
  isCommand = line: toString line != "";
  commands = service: builtins.filter isCommand (lib.toList (service.ExecStart or [ ]));

  # types of services that last, and say themselves when they have started
  lasting = [
    "dbus"
    "forking"
    "notify"
    "notify-reload"
  ];

  # [Service] in mode run, from all that others have defined. Not by definitions: those could not see what they wrap.
  ran =
    profile: service:
    let
      several = builtins.length (commands service) > 1;
      wrapped = map (line: if isCommand line then wrap profile line else "") (lib.toList service.ExecStart);
      settings = {
        # a oneshot that waits keeps the boot "starting", and counts as failed when it is stopped
        Type = if several then "oneshot" else "exec";
        ExecStart = if builtins.length wrapped == 1 then builtins.head wrapped else wrapped;
        NotifyAccess = service.NotifyAccess or "main";
        SuccessExitStatus =
          lib.toList (service.SuccessExitStatus or [ ])
          ++ [ "75" ]
          ++ lib.optional several "SIGTERM";
      }
      // lib.optionalAttrs several { TimeoutStartSec = "infinity"; };
    in
    if commands service == [ ] || builtins.elem (service.Type or "exec") lasting then
      service
    else
      service // settings;

  withoutNetworkOnline = builtins.filter (unit: unit != "network-online.target");

  service =
    { name, ... }:
    let
      gate = gated.${name} or { mode = null; };
      inherit (gate) mode;
      waits = mode != null && mode != "condition";
      companion = [ "upgrade-gate@${name}.service" ];
    in
    {
      options = {
        serviceConfig = mkOption {
          apply = service: if mode == "run" then ran gate.profile service else service;
        };
        wants = mkOption { apply = units: if waits then withoutNetworkOnline units else units; };
        after = mkOption { apply = units: if waits then withoutNetworkOnline units else units; };
      };
      config = mkMerge [
        (mkIf (mode != null && mode != "companion") {
          restartIfChanged = mkDefault false;
          unitConfig.X-StopOnRemoval = mkDefault false;
        })
        (mkIf (mode == "pre") {
          serviceConfig = {
            ExecStartPre = mkBefore [ "${program} wait-online --profile ${gate.profile}" ];
            # through it the gate asks for more time than TimeoutStartSec=
            NotifyAccess = mkDefault "exec";
            TimeoutStartSec = mkDefault "infinity";
          };
        })
        (mkIf (mode == "condition") {
          serviceConfig.ExecCondition = mkBefore [
            "${program} check --exec-condition --profile ${gate.profile}"
          ];
        })
        (mkIf (mode == "companion") {
          requires = companion;
          after = companion;
        })
      ];
    };

  demand = assertion: message: { inherit assertion message; };

  # the sentences about one gated unit
  assertionsOf =
    name:
    { mode, profile }:
    let
      option = "services.upgrade-gate.units.${name}";
      service = config.systemd.services.${name}.serviceConfig or { };
      exists = config.systemd.services ? ${name};
    in
    [
      (demand exists ''
        ${option} gates a unit that does not exist: there is no systemd.services.${name}. Write the name without
        ".service"; for a unit that only a package has, add systemd.services.${name} = { };
      '')
      (demand (mode == "run" && exists -> commands service != [ ]) ''
        ${option} has the mode "run", but no command of ${name}.service is known here. Choose the mode "companion", or
        give the command: systemd.services.${name}.serviceConfig.ExecStart = [ "" "COMMAND" ];
      '')
      (demand (mode == "run" -> !builtins.elem (service.Type or "exec") lasting) ''
        ${option} has the mode "run", which is for commands that end, but ${name}.service has
        Type=${service.Type or ""}. Choose the mode "companion".
      '')
      (demand (mode == "companion" -> profile == name) ''
        ${option} has the mode "companion", and upgrade-gate@${name}.service always asks for the profile ${name}.
        Configure services.upgrade-gate.profiles.${name} instead of choosing the profile ${profile}.
      '')
      (demand (mode == "companion" -> !lib.hasSuffix "@" name) ''
        ${option} has the mode "companion", which a template cannot have. Choose another mode.
      '')
    ];

  # gated by an option of its own, and again by hand
  onlyOnce =
    own: name:
    demand (own.enable -> !cfg.units ? ${name}) ''
      ${name}.service is gated twice. Remove services.upgrade-gate.units.${name}, or disable what gates it already:
      services.upgrade-gate.${
        if name == "nixos-upgrade" then "autoUpgrade" else "fwupdRefresh"
      }.enable = false;
    '';
in
{
  # the options of every service, once more: only here is seen what all others have defined
  options.systemd.services = mkOption {
    type = types.attrsOf (types.submodule service);
  };

  config.assertions = mkIf cfg.enable (
    [
      (onlyOnce cfg.autoUpgrade "nixos-upgrade")
      (onlyOnce cfg.fwupdRefresh "fwupd-refresh")
    ]
    ++ lib.concatLists (lib.mapAttrsToList assertionsOf cfg.units)
  );

  # a name that no file knows is taken for a misspelt one
  config.services.upgrade-gate.profiles = mkIf cfg.enable (
    lib.mapAttrs' (_: gate: lib.nameValuePair gate.profile { }) cfg.units
  );
}
