# Gates other modules' services: sets [Service] and the dependencies of each for its mode, and checks each gate.
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

  # the services of autoUpgrade, fwupdRefresh and units
  gated = lib.optionalAttrs cfg.enable (
    cfg.units
    // lib.optionalAttrs cfg.autoUpgrade.enable { nixos-upgrade = run "nixos-upgrade"; }
    // lib.optionalAttrs cfg.fwupdRefresh.enable { fwupd-refresh = run "fwupd-refresh"; }
  );
  run = profile: {
    mode = "run";
    inherit profile;
  };

  # A command behind `upgrade-gate run`, and what comes before it in each attempt: systemd.service(5)'s prefixes stay in front,
  # and the argv[0] of `@` is passed on.
  wrap =
    profile: pre: line:
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
      before = map (line: " ${quoted "--exec-start-pre=${toString line}"}") pre;
    in
    "${builtins.replaceStrings [ "@" ] [ "" ] prefixes}${program} run --profile ${profile}"
    + builtins.concatStringsSep "" before
    + " ${lib.trim inherited}";

  # one word of a command line
  quoted = text: "\"${builtins.replaceStrings [ "\\" "\"" ] [ "\\\\" "\\\"" ] text}\"";

  # `/bin/a ; /bin/b` is two commands; a quoted semicolon is literal
  separate =
    line:
    let
      word = ''(([^ \t"'\\]|\\.|"([^"\\]|\\.)*"|'([^'\\]|\\.)*')+)'';
      words = map builtins.head (builtins.filter builtins.isList (builtins.split word (toString line)));
      step =
        { done, current }:
        word:
        if word == ";" then
          {
            done = done ++ [ current ];
            current = [ ];
          }
        else
          {
            inherit done;
            current = current ++ [ word ];
          };
      all = builtins.foldl' step {
        done = [ ];
        current = [ ];
      } words;
      lines = map (builtins.concatStringsSep " ") (all.done ++ [ all.current ]);
    in
    if builtins.elem ";" words then builtins.filter isCommand lines else [ line ];

  # NixOS and packages reset a list with an empty line
  isCommand = line: toString line != "";
  linesOf = service: setting: lib.toList (service.${setting} or [ ]);
  commandsOf = service: setting: builtins.filter isCommand (linesOf service setting);
  commands = service: lib.concatLists (map separate (commandsOf service "ExecStart"));

  # types of long-running services that report their own start
  lasting = [
    "dbus"
    "forking"
    "notify"
    "notify-reload"
  ];

  # whether ExecStartPre= can be moved after the gate of the only command with the same meaning
  canMove =
    service:
    let
      pre = commandsOf service "ExecStartPre";
      plain = line: builtins.match "[ \t]*[-@:]*[^-@:+!| \t][^$%]*" (toString line) != null;
      asTheUnit = line: builtins.match "[ \t]*[-+!|@:]*[-+!|].*" (toString line) == null;
    in
    pre == [ ]
    || (
      builtins.all plain pre
      && builtins.length (commands service) == 1
      && builtins.all asTheUnit (commands service)
      && !service ? SuccessExitStatus
    );

  # [Service] in mode run, from all other definitions. Not by a definition of our own: it could not see what it wraps.
  ran =
    name: profile: service:
    let
      several = builtins.length (commands service) > 1;
      # ExecStartPost= must not run before the commands have finished
      follows = commandsOf service "ExecStartPost" != [ ];
      oneshot = several || follows;
      pre = commandsOf service "ExecStartPre";
      wrapped = lib.concatLists (
        map (line: if isCommand line then map (wrap profile pre) (separate line) else [ "" ]) (
          linesOf service "ExecStart"
        )
      );
      # in addition to the unit's own, which are not for the gate
      directory = "upgrade-gate/${if lib.hasSuffix "@" name then "%N" else name}";
      settings = {
        # a oneshot that waits keeps the boot "starting", and counts as failed when it is stopped
        Type = if oneshot then "oneshot" else "exec";
        ExecStart = if builtins.length wrapped == 1 then builtins.head wrapped else wrapped;
        NotifyAccess = service.NotifyAccess or "main";
        # a oneshot has no start timeout
        TimeoutStartSec = if oneshot then "infinity" else service.TimeoutStartSec or "infinity";
        # "not now" is not a failure, unless something follows that must not run after it
        SuccessExitStatus =
          lib.toList (service.SuccessExitStatus or [ ])
          ++ [ (if oneshot then "SIGTERM" else "75") ];
      }
      // lib.optionalAttrs (pre != [ ]) {
        ExecStartPre = builtins.filter (line: !isCommand line) (linesOf service "ExecStartPre");
      }
      # it would include the wait; a oneshot has none
      // lib.optionalAttrs (service ? RuntimeMaxSec) { RuntimeMaxSec = "infinity"; }
      // lib.optionalAttrs (hasUser service) {
        RuntimeDirectory = linesOf service "RuntimeDirectory" ++ [ directory ];
        StateDirectory = linesOf service "StateDirectory" ++ [ directory ];
      };
    in
    if commands service == [ ] || unfit service != [ ] then service else service // settings;

  hasUser =
    service:
    !builtins.elem (service.User or "root") [
      "root"
      "0"
    ]
    || isOn (service.DynamicUser or false);
  isOn = value: builtins.elem (toString value) [ "1" "yes" "true" "on" ];

  # Settings of a service that mode run does not support: daemons, and settings that would run something before the gate is
  # open or treat "not now" as success.
  unfit =
    service:
    let
      type = service.Type or "exec";
      restart = service.Restart or "no";
      has = setting: commandsOf service setting != [ ];
    in
    lib.optional (builtins.elem type lasting) "Type=${type}"
    ++ lib.optional (builtins.elem restart [ "always" "on-success" ]) "Restart=${restart}"
    ++ lib.optional (isOn (service.RemainAfterExit or false)) "RemainAfterExit="
    ++ lib.optional (has "ExecStartPost" && type != "oneshot") "ExecStartPost= without Type=oneshot"
    ++ lib.optional (!canMove service) "ExecStartPre= that cannot be moved behind the gate"
    ++ map (setting: "${setting}=") (
      builtins.filter has [
        "ExecCondition"
        "ExecStop"
        "ExecStopPost"
        "WatchdogSec"
      ]
    );

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
          apply = service: if mode == "run" then ran name gate.profile service else service;
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
            # the gate extends TimeoutStartSec= through it
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

  # the assertions about one gated unit
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
        ".service"; for a unit that only a package defines, add systemd.services.${name} = { };
      '')
      (demand (mode == "run" && exists -> commands service != [ ]) ''
        ${option} has the mode "run", but no command of ${name}.service is known here. Choose the mode "companion", or
        set the command: systemd.services.${name}.serviceConfig.ExecStart = [ "" "COMMAND" ];
      '')
      (demand (mode == "companion" -> profile == name) ''
        ${option} has the mode "companion", and upgrade-gate@${name}.service always uses the profile ${name}.
        Configure services.upgrade-gate.profiles.${name} instead of choosing the profile ${profile}.
      '')
      (demand (mode == "companion" -> !lib.hasSuffix "@" name) ''
        ${option} has the mode "companion", which templates do not support. Choose another mode.
      '')
    ];

  # units that mode run does not support; `ran` leaves them unwrapped, so that their settings can be checked here
  fits =
    name: unit:
    let
      wrong =
        unfit unit.serviceConfig
        ++ lib.optional (unit.onSuccess or [ ] != [ ] || unit.unitConfig ? OnSuccess) "OnSuccess="
        ++ lib.optional (unit.unitConfig ? SuccessAction) "SuccessAction=";
    in
    demand (wrong == [ ]) ''
      ${name}.service cannot be gated in the mode "run", which is for commands that terminate: it has
      ${builtins.concatStringsSep ", " wrong}. Choose services.upgrade-gate.units.${name}.mode = "companion";
    '';

  # gated by its own option, and again in units
  onlyOnce =
    own: name:
    demand (own.enable -> !cfg.units ? ${name}) ''
      ${name}.service is gated twice. Remove services.upgrade-gate.units.${name}, or disable the other gate:
      services.upgrade-gate.${
        if name == "nixos-upgrade" then "autoUpgrade" else "fwupdRefresh"
      }.enable = false;
    '';
in
{
  # the options of every service, declared again: only `apply` sees all other definitions
  options.systemd.services = mkOption {
    type = types.attrsOf (types.submodule service);
  };

  config.assertions = mkIf cfg.enable (
    [
      (onlyOnce cfg.autoUpgrade "nixos-upgrade")
      (onlyOnce cfg.fwupdRefresh "fwupd-refresh")
    ]
    ++ lib.concatLists (lib.mapAttrsToList assertionsOf cfg.units)
    ++ lib.mapAttrsToList fits (
      lib.filterAttrs (name: _: gated.${name}.mode or null == "run") config.systemd.services
    )
  );

  # upgrade-gate may report a profile that is in no file as misspelt
  config.services.upgrade-gate.profiles = mkIf cfg.enable (
    lib.mapAttrs' (_: gate: lib.nameValuePair gate.profile { }) cfg.units
  );
}
