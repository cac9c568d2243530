# services.upgrade-gate: gates system.autoUpgrade, fwupd-refresh and any other unit; README.md and docs/nixos.md tell how.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkBefore
    mkDefault
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;

  cfg = config.services.upgrade-gate;
  program = "${cfg.package}/bin/upgrade-gate";
  toml = pkgs.formats.toml { };

  setting =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  # docs/configuration.md has the same keys and sentences; tests/nix compares them
  profile.options = {
    targets =
      setting (types.listOf (types.either types.str (types.attrsOf types.anything)))
        "What must be reached: every entry, and of `{ any = […] }` one.";
    flake = setting types.str "The flake whose host `auto` asks for.";
    allow_guess = setting types.bool "Where nothing can be derived for `auto`, open on a way out to anywhere.";
    settle = setting types.str "How long everything must hold after a resume or a change of the way out.";
    metered = setting (types.enum [
      "hold"
      "allow"
    ]) "Whether a metered connection holds the upgrade.";
    power = setting (types.either
      (types.enum [
        "any"
        "mains"
      ])
      (
        types.submodule {
          options.battery_at_least = mkOption {
            type = types.ints.between 1 100;
            description = "Percentage that opens the gate on battery, too.";
          };
        }
      )
    ) "The power the upgrade asks for; with a percentage, mains or a battery that full.";
    at_most_every =
      setting types.str
        "`run` only: so long after a success, the next run ends at once with success.";
    attempts =
      setting types.ints.positive
        "`run` only: how often an interrupted command is run at most.";
    attempt_timeout =
      setting types.str
        "`run` only: awake time after which the command gets SIGTERM and counts as interrupted.";
    final_exit_status =
      setting (types.listOf (types.ints.between 0 255))
        "`run` only: exit codes that are verdicts of the command, never an interruption.";
    final_if_changed =
      setting (types.listOf (types.strMatching "/.*"))
        "`run` only: if one of these changes during an attempt, the command has done its work.";
    inhibit = setting (types.listOf (
      types.enum [
        "shutdown"
        "sleep"
      ]
    )) "`run` only: what is inhibited during an attempt; `sleep` covers closing the lid.";
  };

  watch = {
    profile = setting profileName "The profile whose conditions the target stands for.";
    rearm = setting (types.listOf types.str) ''
      Globs of unit names. Of these units, one that failed or hit its start limit for want of the network is started
      once more when the gate opens.
    '';
    rearm_at_once = setting types.ints.positive "How many of these units may run at a time.";
    rearm_spread = setting types.str ''
      The bound of the delay, derived from the machine's id, before they are started, so that not all machines come at once.
    '';
  };

  profileName = types.strMatching "[a-zA-Z0-9][-a-zA-Z0-9_.@:+]{0,63}";

  unit =
    { name, ... }:
    {
      options.mode = mkOption {
        type = types.enum [
          "run"
          "pre"
          "condition"
          "companion"
        ];
        default = "run";
        description = ''
          How the unit is gated.

          * `run`: each of its commands is run by `upgrade-gate run`, which waits, and runs it again if a suspend or the
            network interrupted it. For commands that end: the unit becomes `Type=exec`, or stays a oneshot if it has
            several.
          * `companion`: it requires {file}`upgrade-gate@NAME.service`, which waits, and holds the profile's inhibitor
            locks while the unit runs. For any unit, also one whose commands come from a package; but not for a daemon
            that starts at boot, which would keep the boot "starting" while there is no network.
          * `pre`: `upgrade-gate wait-online` is its first `ExecStartPre=`. A oneshot that waits in this way at boot keeps the
            boot "starting".
          * `condition`: it is skipped, without failing, while the gate is held: `ExecCondition=`.

          All but `condition` also take `network-online.target` from the unit's dependencies: it says nothing after a
          suspend, and at boot it would bring in services that fail where there is no network.

          All but `companion` also set {option}`restartIfChanged` to false, unless it is set elsewhere: a switch to another
          version of upgrade-gate changes the unit, and must not end the upgrade that does the switching.
        '';
      };
      options.profile = mkOption {
        type = profileName;
        default = name;
        defaultText = literalExpression "name";
        description = ''
          The profile, by default named after the unit. It need not be configured.
        '';
      };
    };

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
  # handed on by the shell.
  wrap =
    profile: line:
    let
      parts = builtins.match "[ \t]*([-@:+!|]*)(.*)" (toString line);
      prefixes = builtins.elemAt parts 0;
      command = builtins.elemAt parts 1;
      word = ''("[^"]*"|'[^']*'|[^ ]+)'';
      named = builtins.match "${word} +${word}(.*)" command;
      exec = if lib.hasInfix ":" prefixes then ''exec -a "$0" "$@"'' else ''exec -a "$$0" "$$@"'';
      inherited =
        if lib.hasInfix "@" prefixes && named != null then
          "${pkgs.runtimeShell} -c '${exec}' ${builtins.elemAt named 1} ${builtins.elemAt named 0}${builtins.elemAt named 2}"
        else
          command;
    in
    "${builtins.replaceStrings [ "@" ] [ "" ] prefixes}${program} run --profile ${profile} -- ${lib.trim inherited}";

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

  upgrade = config.system.autoUpgrade;

  # a foreign machine's binary cannot be asked while building
  checker =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      cfg.package
    else
      pkgs.buildPackages.callPackage ./package.nix { };

  # upgrade-gate.toml, if upgrade-gate itself finds nothing wrong with it
  checked =
    let
      written = toml.generate "upgrade-gate.toml" cfg.settings;
    in
    pkgs.runCommand "upgrade-gate.toml" { } ''
      mkdir -p root/etc/upgrade-gate
      cp ${written} root/etc/upgrade-gate/upgrade-gate.toml
      if ! ${checker}/bin/upgrade-gate --root "$PWD/root" config > said; then
        echo "services.upgrade-gate: the profiles or settings are wrong" >&2
        cat said >&2
        exit 1
      fi
      cp ${written} $out
    '';

  # what the units of the package find as other services do
  surroundings = {
    path = [ config.programs.ssh.package ];
    environment = config.networking.proxy.envVars;
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
  options.services.upgrade-gate = {
    enable = mkEnableOption "upgrade-gate, which lets an unattended upgrade start only when it can succeed";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package of upgrade-gate, with its units.";
    };

    autoUpgrade.enable = mkEnableOption ''
      gating {option}`system.autoUpgrade`: its script is run by `upgrade-gate run`, under the profile `nixos-upgrade`. What
      the upgrade needs is learnt from {option}`system.autoUpgrade.flake` and {option}`system.autoUpgrade.flags`'';

    fwupdRefresh.enable = mkEnableOption ''
      gating the `fwupd-refresh` of {option}`services.fwupd`: its command is run by `upgrade-gate run`, under the profile
      `fwupd-refresh`'';

    units = mkOption {
      type = types.attrsOf (types.submodule unit);
      default = { };
      example = literalExpression ''
        {
          my-upgrade = { };
          bento-upgrade.mode = "companion";
        }
      '';
      description = "Services to gate, by name without `.service`.";
    };

    profiles = mkOption {
      type = types.attrsOf (types.submodule profile);
      default = { };
      example = literalExpression ''
        {
          nixos-upgrade = {
            power.battery_at_least = 40;
            at_most_every = "20h";
          };
        }
      '';
      description = ''
        Profiles by name: what a gate asks for, and how `run` behaves. What is not set has upgrade-gate's own default.
        {file}`docs/configuration.md` describes every key; time spans are those of {manpage}`systemd.time(7)`.
      '';
    };

    watch = {
      enable = mkEnableOption ''
        the service behind {file}`upgrade-gate-online.target`, which is active while what the profile needs is proven to
        be reachable. Units that it wants run at each return'';
    }
    // watch;

    settings = mkOption {
      inherit (toml) type;
      default = { };
      description = ''
        {file}`/etc/upgrade-gate/upgrade-gate.toml`, to which {option}`services.upgrade-gate.profiles` and
        {option}`services.upgrade-gate.watch` add theirs. upgrade-gate checks it when the system is built.
      '';
    };
  };

  # the options of every service, once more: only here is seen what all others have defined
  options.systemd.services = mkOption {
    type = types.attrsOf (types.submodule service);
  };

  config = mkMerge [
    {
      assertions = [
        (demand
          (
            cfg.autoUpgrade.enable || cfg.fwupdRefresh.enable || cfg.watch.enable || cfg.units != { }
            -> cfg.enable
          )
          ''
            services.upgrade-gate is told what to gate, but is not enabled. Set services.upgrade-gate.enable = true;
          ''
        )
      ];
    }
    (mkIf cfg.enable {
      assertions = [
        (demand (cfg.autoUpgrade.enable -> upgrade.enable) ''
          services.upgrade-gate.autoUpgrade.enable gates an upgrade that is not enabled. Set system.autoUpgrade.enable = true;
        '')
        (demand (cfg.fwupdRefresh.enable -> config.services.fwupd.enable) ''
          services.upgrade-gate.fwupdRefresh.enable gates a service that is not enabled. Set services.fwupd.enable = true;
        '')
        (onlyOnce cfg.autoUpgrade "nixos-upgrade")
        (onlyOnce cfg.fwupdRefresh "fwupd-refresh")
      ]
      ++ lib.concatLists (lib.mapAttrsToList assertionsOf cfg.units);

      environment.systemPackages = [ cfg.package ];
      environment.etc = mkIf (cfg.settings != { }) {
        "upgrade-gate/upgrade-gate.toml".source = checked;
      };
      systemd.packages = [ cfg.package ];
      systemd.tmpfiles.packages = [ cfg.package ];

      # a name that no file knows is taken for a misspelt one
      services.upgrade-gate.profiles = lib.mapAttrs' (
        _: gate: lib.nameValuePair gate.profile { }
      ) cfg.units;
      services.upgrade-gate.settings = mkMerge [
        {
          profile = mkIf (cfg.profiles != { }) (
            lib.mapAttrs (_: lib.filterAttrs (_: value: value != null)) cfg.profiles
          );
        }
        (mkIf cfg.watch.enable {
          watch = lib.filterAttrs (name: value: name != "enable" && value != null) cfg.watch;
        })
      ];

      # template and instances: a switch to another version must not end the upgrade that does the switching
      systemd.services."upgrade-gate@" = surroundings // {
        overrideStrategy = "asDropin";
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
      };
    })
    (mkIf (cfg.enable && cfg.watch.enable) {
      systemd.services.upgrade-gate-watch = surroundings // {
        overrideStrategy = "asDropin";
        wantedBy = [ "multi-user.target" ];
        reloadTriggers = lib.optional (cfg.settings != { }) checked;
      };
    })
    (mkIf (cfg.enable && cfg.autoUpgrade.enable && upgrade.enable) {
      services.upgrade-gate.profiles = mkIf (upgrade.flake != null) {
        nixos-upgrade.flake = mkDefault upgrade.flake;
      };
      # The script does not look at them. upgrade-gate does: it probes what --flake, -I, --option and --update-input name.
      systemd.services.nixos-upgrade.scriptArgs = mkDefault (
        utils.escapeSystemdExecArgs (
          builtins.filter (word: word != "") (lib.splitString " " (toString upgrade.flags))
        )
      );
    })
    (mkIf (cfg.enable && cfg.fwupdRefresh.enable && config.services.fwupd.enable) {
      systemd.services.fwupd-refresh.serviceConfig = {
        # the package's own command, which only its unit file has
        ExecStart = [
          ""
          "${config.services.fwupd.package}/bin/fwupdmgr refresh"
        ];
        # it is not root's, so that /run/upgrade-gate is not for it
        RuntimeDirectory = mkDefault "upgrade-gate-fwupd-refresh";
      };
    })
  ];
}
