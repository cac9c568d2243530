# What is refused, and in which words.
{
  channel,
  enabled,
  evaluate,
  flake,
  fwupd,
  has,
  online,
  settings,
  ...
}:
let
  complaints =
    config: map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  # the words that the only complaint must have
  complaint =
    words: configuration:
    let
      found = complaints (enabled configuration);
    in
    if builtins.length found == 1 && has words (builtins.head found) then true else found;
  refused = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
in
{
  "a value of the wrong type is refused" = [
    (map
      (
        profile: refused (settings (enabled { services.upgrade-gate.settings.profile.a = profile; }))
      )
      [
        { metered = "no"; }
        { attempts = 0; }
        { power.battery_at_least = 101; }
        { final_exit_status = [ 256 ]; }
        { final_if_changed = [ "relative" ]; }
        { settle = 2; }
        { setle = "2s"; }
        { settle = "2s"; }
      ]
    )
    [
      true
      true
      true
      true
      true
      true
      true
      false
    ]
  ];
  "nobody complains about what is right" = [
    (map complaints [
      flake
      channel
      fwupd
      (enabled {
        services.upgrade-gate.units.job = { };
        systemd.services.job = online;
      })
    ])
    [
      [ ]
      [ ]
      [ ]
      [ ]
    ]
  ];
  "autoUpgrade without system.autoUpgrade is complained about" = [
    (complaint "Set system.autoUpgrade.enable = true" {
      services.upgrade-gate.autoUpgrade.enable = true;
    })
    true
  ];
  "a guard that cannot do what it is for is complained about" = [
    (
      let
        guarded =
          words: module:
          complaint words {
            imports = [ module ];
            services.upgrade-gate.autoUpgrade.guard.enable = true;
          };
        gated = {
          services.upgrade-gate.autoUpgrade.enable = true;
          system.autoUpgrade.enable = true;
        };
      in
      [
        (guarded "needs services.upgrade-gate.autoUpgrade.enable = true" { })
        (guarded "runGarbageCollection = false" {
          imports = [ gated ];
          system.autoUpgrade.runGarbageCollection = true;
        })
        (guarded "configurationLimit to 2 or more" {
          imports = [ gated ];
          boot.loader.systemd-boot.configurationLimit = 1;
        })
      ]
    )
    [
      true
      true
      true
    ]
  ];
  "fwupdRefresh without fwupd is complained about" = [
    (complaint "Set services.fwupd.enable = true" {
      services.upgrade-gate.fwupdRefresh.enable = true;
    })
    true
  ];
  "what needs the watch without the watch is told" = [
    (enabled {
      services.upgrade-gate.settings.watch.rearm = [ "a.service" ];
      systemd.services.job = {
        script = "true";
        wantedBy = [ "upgrade-gate-online.target" ];
      };
    }).warnings
    [
      "No effect without services.upgrade-gate.watch.enable = true: services.upgrade-gate.settings.watch, job.service, wanted by upgrade-gate-online.target"
    ]
  ];
  "one host of a shared configuration goes without by mkForce alone" = [
    (
      let
        inherit
          (evaluate (
            { lib, ... }:
            {
              services.upgrade-gate = {
                enable = lib.mkForce false;
                autoUpgrade.enable = true;
                autoUpgrade.whenOnline = "20h";
                fwupdRefresh.enable = true;
                settings.watch.rearm = [ "a.service" ];
                units.nobody = { };
              };
              systemd.services.job.wantedBy = [ "upgrade-gate-online.target" ];
            }
          ))
          config
          ;
      in
      [
        (complaints config)
        config.warnings
        config.systemd.packages
        config.environment.etc
      ]
    )
    [
      [ ]
      [ ]
      [ ]
      { }
    ]
  ];
}
