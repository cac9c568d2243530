{
  description = "Lets an unattended upgrade start only when it can succeed";

  # Rust 1.89 or newer
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      forSystems =
        perSystem:
        lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
          system: perSystem nixpkgs.legacyPackages.${system}
        );
      package =
        pkgs:
        pkgs.callPackage ./package.nix {
          sourceDateEpoch = self.lastModified or null;
        };
    in
    {
      packages = forSystems (pkgs: rec {
        upgrade-gate = package pkgs;
        default = upgrade-gate;
      });

      overlays.default = final: _: { upgrade-gate = package final; };

      nixosModules = rec {
        upgrade-gate =
          { pkgs, ... }:
          {
            imports = [ ./module.nix ];
            services.upgrade-gate.package = lib.mkDefault (package pkgs);
          };
        default = upgrade-gate;
      };

      # a machine that uses the whole module; the scenarios of vm-tests/ take long, and the mixed ones a foreign builder
      checks = forSystems (pkgs: {
        package = package pkgs;
        module = import ./tests/nix/machine.nix {
          inherit pkgs;
          module = self.nixosModules.default;
        };
      });
      legacyPackages = forSystems (pkgs: {
        tests = import ./vm-tests { inherit pkgs package; };
      });

      formatter = forSystems (pkgs: pkgs.nixfmt-tree);
    };
}
